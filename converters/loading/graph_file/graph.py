"""Decodes an untrusted ONNX graph and checks its operators, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper

from converters.loading.file_kind.quantized import refuse_quantized_graph
from converters.onnx_graph.lookup import STANDARD_DOMAINS, graph_inputs
from converters.onnx_graph.nested import all_nodes, bodies
from edge.errors import ModelError, first_line

# The operator set of all graphs. INT8 graphs need per-channel DequantizeLinear, which it has, and
# TensorRT 8.6, on older Jetsons, cannot read a newer one. (FP16 scales need 19, see fp16/opset.py.)
OPSET: Final = 17
_CUSTOM: Final = ("", "Export it without custom operators.")
_OPTIMISED: Final = (
    ", as ONNX Runtime writes it when it optimises or quantizes a model for one machine",
    "Give the model as it was exported, before that.",
)
# By domain of an operator: what the file is, and what to do.
_FOREIGN: Final = {
    "com.microsoft": _OPTIMISED,
    "com.microsoft.nchwc": _OPTIMISED,
    "com.ms.internal.nhwc": _OPTIMISED,
    "ai.onnx.ml": (
        ", as scikit-learn's classifiers are exported",
        "Export the network alone, up to its logits.",
    ),
    "org.pytorch.aten": (
        ", which torch could not translate",
        "Replace that operator in the network and export it again.",
    ),
}


def parse_graph(content: bytes, name: str) -> onnx.ModelProto:
    """Decode and check a graph: only standard operators, all weights in this file.

    Raises:
        ModelError: damaged, weights in another file, or custom operators.
    """
    model = decode_graph(content, name)
    check_operators(model, name)
    return model


def decode_graph(content: bytes, name: str) -> onnx.ModelProto:
    """Decode a graph with all weights in this file; its functions are inlined.

    Raises:
        ModelError: damaged, or weights in another file.
    """
    try:
        model = onnx.load_model_from_string(content)
        _name_domain_once(model)
        _refuse_external_data(model, name)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
            _refuse_external_data(model, name)
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise _unusable(name, error) from error
    return model


def _name_domain_once(model: onnx.ModelProto) -> None:
    """Use one of the two names of the standard domain, and declare one opset per domain.

    If several are declared, the newest is used, as in `opset_of`.
    """
    for owner in (model, *model.functions):
        opsets: dict[str, int] = {}
        for declared in owner.opset_import:
            domain = "" if declared.domain in STANDARD_DOMAINS else declared.domain
            opsets[domain] = max(declared.version, opsets.get(domain, 0))
        del owner.opset_import[:]
        owner.opset_import.extend(helper.make_opsetid(*found) for found in opsets.items())
    nodes = [model.graph.node, *(function.node for function in model.functions)]
    for node in (node for some in nodes for node in all_nodes(some)):
        if node.domain in STANDARD_DOMAINS:
            node.domain = ""


def check_operators(model: onnx.ModelProto, name: str) -> None:
    """Check that all operators are standard, and used as ONNX defines them.

    Raises:
        ModelError: there are custom operators, or the graph violates ONNX's rules.
    """
    _refuse_custom_operators(model, name)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"{name} is not a usable ONNX model ({first_line(error)[:200]}). Export it again."
    )


def check_ends(model: onnx.ModelProto, name: str, height: int, width: int) -> None:
    """Check that there are one float input (batch, 3, height, width) and one output.

    Raises:
        ModelError: there are others.
    """
    inputs = graph_inputs(model)
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"{name} has {len(inputs)} inputs and {len(model.graph.output)} outputs; "
            "a classifier with one input and one output is needed."
        )
    tensor = inputs[0].type.tensor_type
    found = [dimension.dim_value or "?" for dimension in tensor.shape.dim]
    needed = [3, height, width]
    fits = len(found) == 4 and all(f in ("?", n) for f, n in zip(found[1:], needed, strict=True))
    if not fits or tensor.elem_type != TensorProto.FLOAT:
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ModelError(
            f"{name} takes {kind} {found}, the card says float [batch, 3, {height}, {width}]. "
            "Correct input.height and input.width in the card, or export the model with channels "
            "first."
        )


def _refuse_external_data(model: onnx.ModelProto, name: str) -> None:
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                f"{name} keeps {tensor.name} in another file; a model in one file is needed. "
                "Save it with onnx.save(model, FILE, save_as_external_data=False)."
            )


def _refuse_custom_operators(model: onnx.ModelProto, name: str) -> None:
    # First, because ONNX Runtime's quantized operators have a custom domain too.
    refuse_quantized_graph(all_nodes(model.graph.node), model.graph, name)
    for node in all_nodes(model.graph.node):
        if node.domain not in STANDARD_DOMAINS:
            what, advice = _FOREIGN.get(node.domain, _CUSTOM)
            raise ModelError(
                f"{name} uses {node.op_type} of domain {node.domain}{what}; only standard ONNX "
                f"operators run on every workstation. {advice}"
            )


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    outermost = [model.graph.node, *(function.node for function in model.functions)]
    for node in (node for nodes in outermost for node in all_nodes(nodes)):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
        for body in bodies(node):
            yield from body.initializer
