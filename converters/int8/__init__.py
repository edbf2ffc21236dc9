"""A graph with INT8 layers, as ONNX Runtime and as TensorRT take it."""
