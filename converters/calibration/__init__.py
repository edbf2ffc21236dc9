"""Ranges of activations: histograms over calibration images and the choice of each range."""
