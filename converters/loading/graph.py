"""An ONNX graph by someone else: is it one that can be taken, and what are its logits?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import onnx
import onnx.inliner
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto

from converters.loading.quantized import refuse_quantized_graph
from edge.errors import ModelError

# The oldest opset with per-channel DequantizeLinear in every reader used here and with FP16
# scales (19); TensorRT 8.6, on older Jetsons, reads up to 17, INT8 graphs need no more.
OPSET: Final = 17
_STANDARD_DOMAINS: Final = ("", "ai.onnx")


def parse_graph(content: bytes, name: str) -> onnx.ModelProto:
    """A checked graph of standard operators that needs no other file.

    Raises:
        ModelError: damaged, weights in another file, or operators of someone's own.
    """
    try:
        model = onnx.load_model_from_string(content)
        _refuse_external_data(model, name)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
            _refuse_external_data(model, name)
        _refuse_custom_operators(model, name)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{name} is not a usable ONNX model ({first_line[:200]}). Export it again."
        ) from error
    return model


def at_opset(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The graph at `OPSET` or newer."""
    opset = next((o.version for o in model.opset_import if o.domain in _STANDARD_DOMAINS), 0)
    if opset >= OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except RuntimeError as error:
        raise ModelError(
            f"{name} has opset {opset} and cannot be brought to {OPSET}. "
            f"Export it again with opset {OPSET} or newer."
        ) from error


def check_ends(model: onnx.ModelProto, name: str, height: int, width: int) -> None:
    """One float input (batch, 3, height, width) and one output.

    Raises:
        ModelError: it has others.
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


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that are no weights; older graphs list these too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def run_graph(content: bytes, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n, classes) of normalised images, one at a time: the batch may be fixed at one."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: samples[i : i + 1]})[0] for i in range(len(samples))]
    return np.asarray(np.concatenate(rows), np.float32)


def _refuse_external_data(model: onnx.ModelProto, name: str) -> None:
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                f"{name} keeps {tensor.name} in another file; a model in one file is needed. "
                "Save it with onnx.save(model, FILE, save_as_external_data=False)."
            )


def _refuse_custom_operators(model: onnx.ModelProto, name: str) -> None:
    # ONNX Runtime's own quantized operators too are of a domain of its own.
    refuse_quantized_graph(_nodes(model.graph.node), model.graph, name)
    for node in _nodes(model.graph.node):
        if node.domain not in _STANDARD_DOMAINS:
            raise ModelError(
                f"{name} uses {node.op_type} of domain {node.domain}; only standard ONNX operators "
                "run on every workstation. Export it without custom operators."
            )


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    for attribute in (a for body in bodies for node in _nodes(body) for a in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from graph.initializer


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of the graphs within it."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in _subgraphs(attribute):
                yield from _nodes(graph.node)


def _subgraphs(attribute: AttributeProto) -> Iterator[onnx.GraphProto]:
    yield from attribute.graphs
    if attribute.HasField("g"):
        yield attribute.g
