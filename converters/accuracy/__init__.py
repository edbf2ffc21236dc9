"""Compares a graph with the FP32 model on validation images, and applies the accuracy gate."""
