"""Adds the features to a graph as its second output; nothing else of the graph changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from converters.export.normalisation import BATCH
from converters.features.last_layer import Features, find_features
from converters.onnx_graph.editing import add_constant, copy_of, fresh_name
from converters.onnx_graph.lookup import constants, producers, tensor_types
from converters.onnx_graph.nested import all_names, rename_captured
from edge.session import FEATURES


@dataclass(frozen=True, slots=True)
class WithFeatures:
    """A graph with its features as second output, float32 (batch, count)."""

    model: onnx.ModelProto
    count: int


def has_features(model: onnx.ModelProto) -> bool:
    """Whether a graph gives its features."""
    return any(value.name == FEATURES for value in model.graph.output)


def with_features(model: onnx.ModelProto) -> WithFeatures:
    """A copy of a graph that also gives its features.

    The features of a quantized layer come from a DequantizeLinear of their own. With the layer's
    own one as an output, ONNX Runtime and TensorRT might not fuse it with the layer any more.

    Raises:
        NoFeaturesError: they cannot be found.
    """
    extended = copy_of(model)
    _make_free(extended, FEATURES)
    found = find_features(extended)
    rows = _rows(extended, found)
    last = extended.graph.node[-1]
    if len(rows) > 1:
        extended.graph.node.append(helper.make_node("Concat", rows, [FEATURES], FEATURES, axis=1))
    elif last.output[0] == rows[0]:
        # The last node was added for the features alone.
        last.name = last.output[0] = FEATURES
    else:
        extended.graph.node.append(helper.make_node("Identity", rows, [FEATURES], FEATURES))
    count = sum(one.count for one in found)
    value = helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [BATCH, count])
    extended.graph.output.append(value)
    return WithFeatures(extended, count)


def _rows(model: onnx.ModelProto, found: list[Features]) -> list[str]:
    """Add the nodes that give each of the tensors as float32 (batch, count)."""
    types, made = tensor_types(model), producers(model)
    rows = []
    for one in found:
        source, name = made.get(one.name), one.name
        if source is not None and source.op_type == "DequantizeLinear":
            name = _dequantized(model, source)
        elif types.get(name) != TensorProto.FLOAT:
            name = _append(model, "Cast", name, to=TensorProto.FLOAT)
        rows.append(name if len(one.shape) == 2 else _append(model, "Flatten", name, axis=1))
    return rows


def _dequantized(model: onnx.ModelProto, source: NodeProto) -> str:
    """Dequantize again, to float32 also where the layer computes in FP16."""
    quantized, scale, *zero_point = source.input
    tensor = constants(model)[scale]
    if tensor.data_type != TensorProto.FLOAT:
        scale = add_constant(
            model, f"{scale}_fp32", numpy_helper.to_array(tensor).astype(np.float32)
        )
    copy = copy_of(source)
    copy.name = copy.output[0] = fresh_name(model, f"{FEATURES}_dequantized")
    del copy.input[:]
    copy.input.extend([quantized, scale, *zero_point])
    model.graph.node.append(copy)
    return copy.name


def _append(model: onnx.ModelProto, operator: str, source: str, **attributes: Any) -> str:
    name = fresh_name(model, f"{FEATURES}_{operator.lower()}")
    model.graph.node.append(helper.make_node(operator, [source], [name], name, **attributes))
    return name


def _make_free(model: onnx.ModelProto, name: str) -> None:
    """Rename a tensor that has this name already."""
    if name not in all_names(model.graph):
        return
    other = fresh_name(model, f"{name}_inside")
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [other if one == name else one for one in names]
        rename_captured(node, {name: other})
    for tensor in model.graph.initializer:
        tensor.name = other if tensor.name == name else tensor.name
    for value in model.graph.value_info:
        value.name = other if value.name == name else value.name
