"""Small graphs in FP16."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from edge.backends.onnx import open_onnx
from tests.support.networks.graphs import some_images

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def f32(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(values, np.float32)


def computed(model: onnx.ModelProto) -> np.ndarray[Any, np.dtype[np.float32]]:
    return open_onnx(model.SerializeToString(), "fp16").infer(some_images()).logits
