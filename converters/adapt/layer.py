"""Reads the last layer of a graph, and writes another one in its place."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from converters.adapt.head import Head
from converters.export.normalisation import BATCH
from converters.features.last_layer import find_features
from converters.features.output import has_features, with_features
from converters.onnx_graph.editing import add_constant, copy_of, fresh_name, prune, set_nodes
from converters.onnx_graph.sessions import open_session, session_options
from edge.session import FEATURES, LOGITS

# Rows that are computed at once; a row of a convolution's input can be large.
_ROWS: Final = 256


def head_of(model: onnx.ModelProto) -> Head:
    """The last layer of an FP32 graph, whatever nodes compute it.

    The nodes behind the features compute zeros and the unit vectors: a linear function is known by
    what it gives for these.

    Raises:
        NoFeaturesError: it has none.
    """
    found = find_features(model)
    tail = copy_of(model)
    del tail.graph.output[1:], tail.graph.input[:]
    names = {one.name for one in found}
    set_nodes(tail, [node for node in tail.graph.node if names.isdisjoint(node.output)])
    for one in found:
        shape: list[str | int | None] = [BATCH, *one.shape[1:]]
        tail.graph.input.append(helper.make_tensor_value_info(one.name, TensorProto.FLOAT, shape))
    prune(tail)
    session = open_session(tail, session_options(threads=1))
    count = sum(one.count for one in found)
    rows = np.vstack([np.zeros((1, count), np.float32), np.eye(count, dtype=np.float32)])
    ends = np.cumsum([one.count for one in found])[:-1]
    logits = []
    for first in range(0, len(rows), _ROWS):
        parts = np.split(rows[first : first + _ROWS], ends, axis=1)
        inputs = {
            one.name: part.reshape(-1, *one.shape[1:])
            for one, part in zip(found, parts, strict=True)
        }
        logits.append(session.run([LOGITS], inputs)[0])
    values = np.concatenate(logits).astype(np.float64)
    return Head(values[1:] - values[0], values[0])


def with_head(model: onnx.ModelProto, head: Head) -> onnx.ModelProto:
    """A copy of a graph in which a linear layer on its features gives the logits.

    The layer is float in every graph. It has few weights, so that INT8 would gain nothing, and it
    takes the features as the graph gives them, in a quantized graph dequantized.

    Raises:
        NoFeaturesError: it has none.
    """
    changed = copy_of(model) if has_features(model) else with_features(model).model
    set_nodes(changed, [node for node in changed.graph.node if LOGITS not in node.output])
    weights = add_constant(changed, "adapted_weights", head.weights.T.astype(np.float32))
    bias = add_constant(changed, "adapted_bias", head.bias.astype(np.float32))
    name = fresh_name(changed, "adapted_layer")
    layer = helper.make_node("Gemm", [FEATURES, weights, bias], [LOGITS], name, transB=1)
    changed.graph.node.append(layer)
    prune(changed)
    return changed
