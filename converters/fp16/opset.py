"""Converts a graph to the operator set that FP16 scales need."""

from __future__ import annotations

from typing import Final

import onnx
from onnx import version_converter

from converters.onnx_graph.lookup import opset_of

# The first operator set in which QuantizeLinear has FP16 scales, and its ONNX IR version.
QUANTIZED_OPSET: Final = 19
QUANTIZED_IR_VERSION: Final = 9


def with_half_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in an operator set whose quantizers accept FP16 scales.

    Other operators change as well; axes of reductions become inputs, for example. A graph without
    quantizers, or in a newer set, is returned unchanged.

    Raises:
        RuntimeError: from `onnx`, for an operator that has no counterpart there.
    """
    is_quantized = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    if not is_quantized or opset_of(model) >= QUANTIZED_OPSET:
        return model
    converted = version_converter.convert_version(model, QUANTIZED_OPSET)
    converted.ir_version = max(model.ir_version, QUANTIZED_IR_VERSION)
    return converted
