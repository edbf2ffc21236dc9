"""Rewrites any valid ONNX classifier into the canonical form that the converter reads."""
