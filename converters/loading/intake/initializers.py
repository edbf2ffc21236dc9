"""Weights as plain initializers, whatever way the file holds them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from converters.loading.intake.editing import attribute, set_nodes
from converters.loading.intake.subject import Subject

# The first version in which initializers need not be inputs is 4; opset 17 belongs to 8.
IR_VERSION: Final = 8
_SCALARS: Final = {"value_int": np.int64, "value_float": np.float32}
_LISTS: Final = {"value_ints": np.int64, "value_floats": np.float32}


def plain_initializers(subject: Subject) -> None:
    """Take weights off the inputs (IR version 3), make sparse ones dense, Constant nodes too."""
    model = subject.model
    _add_sparse(model.graph)
    _add_constant_nodes(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) < len(model.graph.input):
        copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
        del model.graph.input[:]
        model.graph.input.extend(copies)
    model.ir_version = max(model.ir_version, IR_VERSION)
    # Notes of exporters and trainers, which no later step keeps up to date.
    del model.training_info[:], model.metadata_props[:], model.graph.quantization_annotation[:]


def _add_sparse(graph: onnx.GraphProto) -> None:
    for sparse in graph.sparse_initializer:
        graph.initializer.append(numpy_helper.from_array(_dense(sparse), sparse.values.name))
    del graph.sparse_initializer[:]


def _dense(sparse: onnx.SparseTensorProto) -> NDArray[Any]:
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def _add_constant_nodes(model: onnx.ModelProto) -> None:
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
        return _dense(sparse)
    for name, type_ in (_SCALARS | _LISTS).items():
        if (value := attribute(node, name)) is not None:
            return np.asarray(value, type_)
    return None
