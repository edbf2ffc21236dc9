"""Decodes an ONNX file and checks its operators and sizes."""
