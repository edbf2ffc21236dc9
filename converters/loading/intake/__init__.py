"""Steps that bring any legal ONNX classifier to the one form that the converter reads."""
