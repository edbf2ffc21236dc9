"""Converts graphs to one opset, which the converter, ONNX Runtime and TensorRT all read."""
