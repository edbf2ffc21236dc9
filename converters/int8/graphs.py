"""The graphs that a bundle may hold: one table of their names, files, targets and needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from converters.layers.placement import TENSORRT, TENSORRT8, X86, X86_7BIT, Placement
from edge.manifest import ROLE_MODEL, Artefact


@dataclass(frozen=True, slots=True)
class GraphKind:
    """One of the graphs of a bundle.

    Attributes:
        name: its name in the bundle, where the file is `model.NAME.onnx`.
        target: its name in evidence and reports; for a quantized graph the placement's name.
        title: the machines that it is for, for people.
        requires: the requirements on a machine, as in the manifest.
        placement: how it is quantized; None if it is not.
    """

    name: str
    target: str
    precision: str
    title: str
    requires: Mapping[str, str]
    placement: Placement | None = None

    @property
    def path(self) -> str:
        """The file in the bundle."""
        return f"model.{self.name}.onnx"

    def may_be(self, artefact: Artefact) -> bool:
        """Whether a bundle's file may be this graph; needs that its manifest does not state fit."""
        is_model = artefact.role == ROLE_MODEL and artefact.precision == self.precision
        return is_model and all(artefact.requires.get(k, v) == v for k, v in self.requires.items())


def _quantized(name: str, placement: Placement, title: str, **requires: str) -> GraphKind:
    return GraphKind(name, placement.name, "int8", title, requires, placement)


FP32: Final = GraphKind("fp32", "fp32", "fp32", "any machine", {"backend": "onnxruntime"})
INT8: Final = _quantized("int8", X86, "CPUs with VNNI", backend="onnxruntime", cpu="vnni")
INT8_7BIT: Final = _quantized(
    "int8.7bit", X86_7BIT, "CPUs without VNNI", backend="onnxruntime", cpu="any"
)
INT8_TENSORRT: Final = _quantized(
    "int8.trt", TENSORRT, "NVIDIA GPUs", backend="tensorrt", typing="strong"
)
INT8_TENSORRT8: Final = _quantized(
    "int8.trt8", TENSORRT8, "NVIDIA GPUs with TensorRT 8", backend="tensorrt", typing="weak"
)
# All versions of TensorRT can read it.
FP16: Final = GraphKind(
    "fp16.trt", "fp16", "fp16", "NVIDIA GPUs, not quantized", {"backend": "tensorrt"}
)

QUANTIZED: Final = (INT8, INT8_7BIT, INT8_TENSORRT, INT8_TENSORRT8)
GRAPHS: Final = {kind.name: kind for kind in (FP32, *QUANTIZED, FP16)}
TITLES: Final = {kind.target: kind.title for kind in (*QUANTIZED, FP16)}
