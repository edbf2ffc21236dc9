"""Opens sessions that compute on this machine what a graph's target would compute."""

from __future__ import annotations

import onnx

from converters.fp16.conversion import to_fp16
from converters.fp16.emulation import emulate_fp16
from converters.int8.graphs import FP16, GraphKind
from converters.layers.folding import fold_weights
from converters.layers.placement import Placement
from edge.backends.cpu import has_vnni
from edge.backends.onnx import OnnxSession, open_onnx


def open_as_target(model: onnx.ModelProto, placement: Placement) -> OnnxSession:
    """Open a quantized graph so that its results are those of its target.

    Tensors that a GPU computes in FP16, or may compute in it, are rounded to FP16.
    """
    if placement.half_floats:
        model = emulate_fp16(model)
    elif placement.may_choose_fp16:
        model = emulate_fp16(to_fp16(model))
    is_fused = may_be_fused(placement)
    content = (model if is_fused else fold_weights(model)).SerializeToString()
    return open_onnx(content, "int8", optimise=is_fused)


def open_graph(kind: GraphKind, model: onnx.ModelProto) -> OnnxSession:
    """Open any graph of a bundle so that its results are those of its target."""
    if kind.placement is not None:
        return open_as_target(model, kind.placement)
    half = emulate_fp16(model) if kind == FP16 else model
    return open_onnx(half.SerializeToString(), kind.precision)


def may_be_fused(placement: Placement) -> bool:
    """Whether ONNX Runtime's fused kernels on this machine compute what the target computes.

    They do not for TensorRT, which fuses other layers. On a CPU without VNNI, the INT8 kernels
    saturate, unlike those on the target. Such graphs are run node by node, which gives the right
    results but takes several times as long.
    """
    if placement.symmetric:
        return False
    return has_vnni() or not placement.needs_vnni
