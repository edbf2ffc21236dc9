"""The reference model cells8: weights, card, training, data sets and evaluation."""
