"""Sessions that compute what a graph's target computes, on whatever machine this is."""

from __future__ import annotations

import onnx

from converters.fp16.conversion import to_fp16
from converters.fp16.rounded import rounded
from converters.layers.folding import fold_weights
from converters.layers.placement import Placement
from edge.backends.cpu import has_vnni
from edge.backends.onnx import OnnxSession, open_onnx


def open_as_target(model: onnx.ModelProto, placement: Placement) -> OnnxSession:
    """Open a quantized graph so that its numbers are its target's.

    What a GPU computes in FP16, or may, is rounded to it after each operator.
    """
    if placement.half_floats:
        model = rounded(model)
    elif placement.may_choose_fp16:
        model = rounded(to_fp16(model))
    is_fused = may_be_fused(placement)
    content = (model if is_fused else fold_weights(model)).SerializeToString()
    return open_onnx(content, "int8", optimise=is_fused)


def may_be_fused(placement: Placement) -> bool:
    """Whether the kernels that ONNX Runtime would fuse a graph into here are its target's.

    It has some that TensorRT has not. And without VNNI, those for 8-bit weights saturate, which the
    machines that the graph is meant for do not. As it is written the graph gives the target's
    numbers, several times as slowly.
    """
    if placement.symmetric:
        return False
    return has_vnni() or not placement.needs_vnni
