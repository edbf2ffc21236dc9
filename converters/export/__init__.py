"""Exports every model to the same form of FP32 ONNX, and compares it with the source."""
