"""A torch module: run it, choose its logits, write it as ONNX."""
