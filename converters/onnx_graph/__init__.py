"""Shared functions to search, change and open ONNX graphs."""
