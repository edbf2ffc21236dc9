"""Turns all forms of constants in a graph into dense initializers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from converters.onnx_graph.editing import set_nodes
from converters.onnx_graph.lookup import attribute

_SCALARS: Final = {"value_int": np.int64, "value_float": np.float32}
_LISTS: Final = {"value_ints": np.int64, "value_floats": np.float32}


def dense(sparse: onnx.SparseTensorProto) -> NDArray[Any]:
    """A sparse constant as an array."""
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    full = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        full.reshape(-1)[indices] = values
    else:
        full[tuple(indices.T)] = values
    return full


def constant_nodes_to_initializers(model: onnx.ModelProto) -> None:
    """Replace the Constant nodes of a graph by initializers, in place."""
    kept = []
    for node in model.graph.node:
        value = _constant(node) if node.op_type == "Constant" else None
        if value is None:
            kept.append(node)
        else:
            model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    if len(kept) < len(model.graph.node):
        set_nodes(model, kept)


def _constant(node: onnx.NodeProto) -> NDArray[Any] | None:
    if (tensor := attribute(node, "value")) is not None:
        return numpy_helper.to_array(tensor)
    if (sparse := attribute(node, "sparse_value")) is not None:
        return dense(sparse)
    for name, type_ in (_SCALARS | _LISTS).items():
        if (value := attribute(node, name)) is not None:
            return np.asarray(value, type_)
    return None
