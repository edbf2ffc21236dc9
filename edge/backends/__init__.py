"""Inference back ends: one file each, one protocol, one place that chooses."""
