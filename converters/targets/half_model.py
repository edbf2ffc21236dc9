"""Makes the FP16 graph for GPUs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.accuracy.comparison import Evidence
from converters.accuracy.gate import Check, failures
from converters.fp16.range_check import Beyond, leaving_fp16
from converters.fp16.rounded import rounded
from converters.int8.tensorrt_graph import for_tensorrt
from converters.search.judging import Judging
from converters.targets.attempt import Failure
from edge.backends.onnx import open_onnx


@dataclass(frozen=True, slots=True)
class HalfModel:
    """The FP16 graph, and the gate's checks.

    Attributes:
        beyond: values that FP16 cannot hold; nodes that compute them stay in FP32.
    """

    model: onnx.ModelProto
    evidence: Evidence
    checks: list[Check]
    beyond: Beyond

    @property
    def holds(self) -> bool:
        """Whether every limit of the gate holds."""
        return not failures(self.checks)


def halve(fp32: onnx.ModelProto, judging: Judging, images: NDArray[np.uint8]) -> HalfModel:
    """Make the FP16 graph, and judge it with a GPU's rounding emulated.

    Args:
        images: preprocessed, uint8 (n, height, width, 3), to find values that FP16 cannot hold.
    """
    beyond = leaving_fp16(fp32, images)
    model = for_tensorrt(fp32, half_floats=True, beyond=beyond)
    session = open_onnx(rounded(model).SerializeToString(), "fp16")
    evidence, checks = judging.judge(session, "fp16")
    return HalfModel(model, evidence, checks, beyond)


def half_refusal(half: HalfModel | Failure) -> str | None:
    """Why there is no FP16 graph; None if there is one."""
    if isinstance(half, Failure):
        return half.reason
    return None if half.holds else failures(half.checks)[0].text
