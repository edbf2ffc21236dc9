"""One ONNX form for every model, compared with the model that it came from."""
