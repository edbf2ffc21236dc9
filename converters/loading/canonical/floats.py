"""Converts all floats of a graph to FP32. Later steps choose smaller types by measurement."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.editing import bypass, copy_of, prune
from converters.onnx_graph.lookup import attribute, tensor_types

_NAMES: Final = {
    TensorProto.FLOAT16: "FP16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.DOUBLE: "FP64",
}
# Attributes that name the type of a node's output.
_TYPE_ATTRIBUTES: Final = ("to", "dtype")


def convert_to_float32(working: WorkingModel) -> bool:
    """Convert FP16, BF16 and FP64 weights, attributes, casts, inputs and outputs to FP32.

    Returns:
        Whether there were any.
    """
    converted = copy_of(working.model)
    graph = converted.graph
    found = {_convert(tensor) for tensor in graph.initializer}
    for node in graph.node:
        found |= {_convert_attribute(held) for held in node.attribute}
    for value in (*graph.input, *graph.output):
        found.add(value.type.tensor_type.elem_type)
        if value.type.tensor_type.elem_type in _NAMES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    _drop_conversions(converted)
    working.model = converted
    names = [name for kind, name in _NAMES.items() if kind in found]
    if not names:
        return False
    working.changes.append(f"its {' and '.join(names)} values were made FP32")
    return True


def _convert(tensor: TensorProto) -> int:
    """Convert a tensor of another float type to FP32, in place; returns its original type."""
    kind = tensor.data_type
    if kind in _NAMES:
        # An FP64 value beyond FP32's range becomes infinite, which the check of the logits finds.
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return kind


def _convert_attribute(held: AttributeProto) -> int:
    if held.type == AttributeProto.TENSOR:
        return _convert(held.t)
    if held.name in _TYPE_ATTRIBUTES and held.i in _NAMES:
        kind = int(held.i)
        held.i = TensorProto.FLOAT
        return kind
    return TensorProto.UNDEFINED


def _drop_conversions(model: onnx.ModelProto) -> None:
    """Remove casts from FP32 to FP32."""
    types = tensor_types(model)
    for node in model.graph.node:
        is_cast = node.op_type == "Cast" and attribute(node, "to") == TensorProto.FLOAT
        is_like = node.op_type == "CastLike" and types.get(node.input[1]) == TensorProto.FLOAT
        if (is_cast or is_like) and types.get(node.input[0]) == TensorProto.FLOAT:
            _skip(model, node)
    prune(model)


def _skip(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    computed = {name for other in model.graph.node for name in other.output}
    is_output = any(value.name == node.output[0] for value in model.graph.output)
    if is_output and node.input[0] not in computed:
        # An output must be computed by a node; it must not be a constant or the input.
        return
    bypass(model, node.output[0], node.input[0])
