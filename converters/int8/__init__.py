"""Builds INT8 graphs for ONNX Runtime and TensorRT, and lists the graphs of a bundle."""
