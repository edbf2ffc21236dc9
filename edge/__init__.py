"""Runtime of microscope-edge: decode, preprocess, infer, write results. Needs no torch."""

import os

__version__ = "0.1.0"

# ONNX Runtime reports usage to its vendor unless this is set before it is loaded. Nothing of a
# hospital's machine may leave it, so every package here imports this one first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
