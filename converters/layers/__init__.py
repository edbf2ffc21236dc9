"""Finds a graph's layers with weights, counts their arithmetic, and chooses which to quantize."""
