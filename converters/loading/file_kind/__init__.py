"""Detects the kind of a model file, and refuses models that are already quantized."""
