"""Runs a torch module, chooses its logits, and exports it to ONNX."""
