"""An ONNX file decoded, its operators and sizes checked."""
