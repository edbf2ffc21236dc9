"""Runtime of microscope-edge: decode, preprocess, infer, write results. Needs no torch."""

import os

__version__ = "0.1.0"

# ONNX Runtime sends usage data to its vendor unless this is set before it is imported. No data may
# leave a hospital's machine, so every package here imports `edge` first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
