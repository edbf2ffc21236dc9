"""Graphs in FP16 for GPUs: how they are made, and what they compute there."""
