"""The back ends by the names that people give them, for programs that open none."""

from __future__ import annotations

from typing import Final

from edge.backends.trt.library import TENSORRT, TENSORRT_RTX

ONNXRUNTIME: Final = "onnxruntime"
BACKENDS: Final = ("auto", TENSORRT, TENSORRT_RTX, ONNXRUNTIME)
