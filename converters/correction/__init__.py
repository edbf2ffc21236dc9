"""Corrects the errors that quantization adds to each layer."""
