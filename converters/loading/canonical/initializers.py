"""Turns all forms of constants into dense initializers, and folds computed constants."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.constants import constant_nodes_to_initializers, dense
from converters.onnx_graph.editing import prune, set_nodes
from converters.onnx_graph.lookup import constants, graph_inputs
from converters.onnx_graph.sessions import open_session, session_options
from edge.backends.onnx import RUNTIME_ERRORS

# The IR version of opset 17. Since version 4, initializers need not be inputs.
IR_VERSION: Final = 8
# A computed tensor may be much larger than the file.
_MAX_FOLDED_BYTES: Final = 256 * 1024**2
# Not folded: random values are not constant, and quantizers show that a network is already
# quantized.
_KEPT: Final = frozenset(
    {
        *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "Dropout", "QuantizeLinear", "DequantizeLinear"),
        *("If", "Loop", "Scan", "SequenceMap"),
    }
)


def plain_initializers(working: WorkingModel) -> None:
    """Remove weights from the inputs (IR version 3); make initializers of sparse and Constant."""
    model = working.model
    _add_sparse(model.graph)
    constant_nodes_to_initializers(model)
    inputs = graph_inputs(model)
    if len(inputs) < len(model.graph.input):
        copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
        del model.graph.input[:]
        model.graph.input.extend(copies)
    model.ir_version = max(model.ir_version, IR_VERSION)
    # Metadata that would become wrong, as no later step updates it.
    del model.training_info[:], model.metadata_props[:], model.graph.quantization_annotation[:]


def _add_sparse(graph: onnx.GraphProto) -> None:
    for sparse in graph.sparse_initializer:
        graph.initializer.append(numpy_helper.from_array(dense(sparse), sparse.values.name))
    del graph.sparse_initializer[:]


def fold_constants(working: WorkingModel) -> None:
    """Fold everything that does not depend on the image: expanded class tokens, shapes, masks."""
    model = working.model
    known = set(constants(model))
    folded = []
    for node in model.graph.node:
        if (
            node.op_type not in _KEPT
            and node.output[0]
            and known.issuperset(filter(None, node.input))
        ):
            folded.append(node)
            known.update(node.output)
    if not folded:
        return
    inside = {name for node in folded for name in node.output if name}
    outside = [n for n in model.graph.node if n.output[0] not in inside]
    wanted = {name for node in outside for name in node.input} & inside
    values = _run(model, folded, sorted(wanted))
    if values is None:
        return
    model.graph.initializer.extend(values)
    set_nodes(model, outside)
    prune(model)


def _run(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], wanted: list[str]
) -> list[onnx.TensorProto] | None:
    """The values of tensors.

    None if ONNX Runtime has no kernel for them, as for BF16, or if one is a list of tensors.
    """
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in wanted],
        [tensor for tensor in model.graph.initializer if tensor.name in read],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        found = open_session(part, session_options(is_silent=True)).run(wanted, {})
    except RUNTIME_ERRORS:
        return None
    if not all(isinstance(value, np.ndarray) for value in found):
        return None
    if sum(value.nbytes for value in found) > _MAX_FOLDED_BYTES:
        return None
    return [numpy_helper.from_array(v, name) for name, v in zip(wanted, found, strict=True)]
