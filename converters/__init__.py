"""Converts a trained classifier to a bundle for the workstation. Only this package needs torch."""

import edge as edge  # sets ORT_DISABLE_TELEMETRY, which must happen before ONNX Runtime is loaded
