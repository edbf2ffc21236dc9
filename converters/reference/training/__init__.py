"""Trains the reference model: images, augmentation, training, temperature scaling."""
