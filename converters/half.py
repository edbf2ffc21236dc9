"""The FP16 graph for GPUs: what an INT8 engine has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.agreement import Evidence
from converters.gate import Check, failures
from converters.judging import Judging
from converters.tensorrt_graph import for_tensorrt
from edge.backends.onnx import open_onnx


@dataclass(frozen=True, slots=True)
class HalfModel:
    """The graph in FP16 and what the gate says of it."""

    model: onnx.ModelProto
    evidence: Evidence
    checks: list[Check]

    @property
    def holds(self) -> bool:
        """Whether every limit of the gate holds; activations above 65,504 break FP16."""
        return not failures(self.checks)


def halve(fp32: onnx.ModelProto, judging: Judging) -> HalfModel:
    """The FP16 graph, judged as INT8 graphs are."""
    model = for_tensorrt(fp32, half_floats=True)
    evidence, checks = judging.judge(open_onnx(model.SerializeToString(), "fp16"), "fp16")
    return HalfModel(model, evidence, checks)
