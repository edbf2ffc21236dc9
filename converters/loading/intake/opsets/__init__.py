"""One opset, for operators that the converter, ONNX Runtime and TensorRT read alike."""
