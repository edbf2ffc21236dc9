"""Chooses the ranges of activations from their histograms over calibration images."""
