"""Makes the FP16 graph for GPUs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.accuracy.comparison import Evidence
from converters.accuracy.gate import Check, missed_limits
from converters.fp16.emulation import emulate_fp16
from converters.fp16.range_check import OutOfRange, find_out_of_range
from converters.int8.tensorrt_graph import for_tensorrt
from converters.search.judging import Judging
from converters.targets.failure import Failure
from edge.backends.onnx import open_onnx


@dataclass(frozen=True, slots=True)
class Fp16Model:
    """The FP16 graph, and the gate's checks.

    Attributes:
        out_of_range: values that FP16 cannot hold; nodes that compute them stay in FP32.
    """

    model: onnx.ModelProto
    evidence: Evidence
    checks: list[Check]
    out_of_range: OutOfRange

    @property
    def holds(self) -> bool:
        """Whether every limit of the gate holds."""
        return not missed_limits(self.checks)


def make_fp16(fp32: onnx.ModelProto, judging: Judging, images: NDArray[np.uint8]) -> Fp16Model:
    """Make the FP16 graph, and judge it with a GPU's rounding emulated.

    Args:
        images: preprocessed, uint8 (n, height, width, 3), to find values that FP16 cannot hold.
    """
    out_of_range = find_out_of_range(fp32, images)
    model = for_tensorrt(fp32, half_floats=True, out_of_range=out_of_range)
    session = open_onnx(emulate_fp16(model).SerializeToString(), "fp16")
    evidence, checks = judging.judge(session, "fp16")
    return Fp16Model(model, evidence, checks, out_of_range)


def fp16_refusal(fp16: Fp16Model | Failure) -> str | None:
    """Why there is no FP16 graph; None if there is one."""
    if isinstance(fp16, Failure):
        return fp16.reason
    return None if fp16.holds else missed_limits(fp16.checks)[0].text
