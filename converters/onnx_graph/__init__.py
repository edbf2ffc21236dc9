"""ONNX graphs: looked up, changed and opened in ONNX Runtime, one way for every step."""
