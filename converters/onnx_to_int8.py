"""FP32 ONNX and activation ranges to INT8 ONNX in the Q/DQ form that a target wants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from converters.normalisation import CHANNELS_FIRST, NORMALISED, image_parameters
from converters.placement import WEIGHTED, Placement
from converters.qdq import GraphWriter
from converters.ranges import Range
from edge.preprocess import InputSpec


@dataclass(frozen=True, slots=True)
class Int8Model:
    """The INT8 graph and which weighted layers are in it in INT8 and in float."""

    model: onnx.ModelProto
    quantized_layers: tuple[str, ...]
    float_layers: tuple[str, ...]


def quantize(
    model: onnx.ModelProto,
    ranges: dict[str, Range],
    spec: InputSpec,
    placement: Placement,
    *,
    kept_float: Collection[str] = (),
    rounded: Mapping[str, NDArray[np.int8]] | None = None,
) -> Int8Model:
    """Put Q/DQ pairs where `placement` wants them and the ranges are known.

    Args:
        model: folded FP32, as `source_to_onnx` gives it.
        ranges: of the activations of that same model.
        spec: the network's input.
        placement: the target's rules.
        kept_float: names of nodes that stay in float.
        rounded: by layer the integers of its weight, where they are not the nearest ones.
    """
    writer = GraphWriter(placement, ranges, _constants(model), rounded or {})
    # Nodes are known by their first output: protobuf hands out a new object at every access.
    chosen = {
        node.output[0]: inputs
        for node in model.graph.node
        if node.name not in kept_float
        and (inputs := _quantized_inputs(model, writer, node)) is not None
    }
    if not placement.symmetric:
        writer.sources = _saturating_activations(model, writer, set(chosen))
    for node in model.graph.node:
        if node.output[0] in chosen:
            writer.nodes.append(_quantized_copy(writer, node, chosen[node.output[0]]))
        elif node.output[0] not in writer.sources:
            writer.nodes.append(node)
        if node.output[0] == CHANNELS_FIRST and not placement.symmetric:
            _read_image_bytes(writer, spec)
    weighted = [node for node in model.graph.node if node.op_type in WEIGHTED]
    return Int8Model(
        model=_assemble(model, writer),
        quantized_layers=tuple(n.name for n in weighted if n.output[0] in chosen),
        float_layers=tuple(n.name for n in weighted if n.output[0] not in chosen),
    )


def quantizable_tensors(model: onnx.ModelProto, *placements: Placement) -> list[str]:
    """Activations whose ranges the placements may need, in the order of the graph."""
    constants = _constants(model)
    operators = frozenset[str]().union(*(p.quantizable for p in placements))
    known = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    names = (
        name
        for node in model.graph.node
        if node.op_type in operators
        for name in node.input
        if name and name not in constants and known.get(name) == onnx.TensorProto.FLOAT
    )
    return list(dict.fromkeys(names))


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _read_image_bytes(writer: GraphWriter, spec: InputSpec) -> None:
    """Where that is exact, take the image bytes in place of normalising and quantizing them."""
    found = image_parameters(spec)
    if found is None:
        return
    parameters = writer.add_parameters(NORMALISED, *found)
    inputs, output = [CHANNELS_FIRST, *parameters], writer.dequantized[NORMALISED]
    writer.nodes.append(helper.make_node("DequantizeLinear", inputs, [output], name=output))


def _quantized_inputs(
    model: onnx.ModelProto, writer: GraphWriter, node: onnx.NodeProto
) -> list[str] | None:
    """The activations that a node reads quantized, None where it stays in float."""
    placement = writer.placement
    activations = [name for name in node.input if name and name not in writer.weights]
    is_known = bool(activations) and all(name in writer.ranges for name in activations)
    if not is_known:
        return None
    if node.op_type in WEIGHTED:
        return activations if _has_constant_weights(writer, node, activations) else None
    if node.op_type == "Add" and not placement.both_sides_of_add:
        return [_identity(model, activations)] if len(activations) == len(node.input) else None
    if node.op_type in placement.moving:
        return activations if activations == [node.input[0]] else None
    if node.op_type in placement.arithmetic:
        return activations if len(activations) == len(node.input) else None
    return None


def _has_constant_weights(
    writer: GraphWriter, node: onnx.NodeProto, activations: list[str]
) -> bool:
    # Weights computed at run time have no fixed scale.
    has_weights = activations == [node.input[0]] and node.input[1] in writer.weights
    return has_weights and (node.op_type == "Conv" or _is_linear(node))


def _is_linear(node: onnx.NodeProto) -> bool:
    """Whether a Gemm is a plain linear layer with output channels on axis 0 of its weight."""
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = {"transA": 0, "transB": 1, "alpha": 1.0, "beta": 1.0}
    defaults = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
    return {**defaults, **found} == plain


def _identity(model: onnx.ModelProto, inputs: list[str]) -> str:
    """Of the inputs of a residual addition the one that skipped the block.

    It is the one that others read too; in a block that changes the shape, where both come out of
    a convolution, the one whose convolution came first in the graph's order is the block's.
    """
    readers = {name: sum(name in node.input for node in model.graph.node) for name in inputs}
    if readers[inputs[0]] != readers[inputs[1]]:
        return max(inputs, key=lambda name: readers[name])
    order = {output: i for i, node in enumerate(model.graph.node) for output in node.output}
    return max(inputs, key=lambda name: order.get(name, -1))


def _saturating_activations(
    model: onnx.ModelProto, writer: GraphWriter, chosen: set[str]
) -> dict[str, str]:
    """Relu and Clip outputs that are only read quantized, with the tensor they are made of.

    Unsigned quantization with zero point 0 saturates at 0 and at the top of its range, which is
    what the node does; ONNX Runtime merges a layer with its output's quantization only when
    nothing stands between them.
    """
    readers: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.output[0])
    kept = {value.name for value in model.graph.output}
    return {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if _is_clamped_at_zero(writer, node)
        and node.output[0] not in kept
        and chosen.issuperset(readers.get(node.output[0], []))
    }


def _is_clamped_at_zero(writer: GraphWriter, node: onnx.NodeProto) -> bool:
    if node.op_type == "Relu":
        return True
    if node.op_type != "Clip" or len(node.input) < 2:
        return False
    lower = writer.weights.get(node.input[1])
    return lower is not None and float(lower) == 0.0


def _quantized_copy(
    writer: GraphWriter, node: onnx.NodeProto, quantized: list[str]
) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for position, name in enumerate(node.input):
        if name in quantized:
            copy.input[position] = writer.activation(name)
    if node.op_type in WEIGHTED:
        writer.weight_and_bias(copy, input_scale=writer.scales[node.input[0]])
    return copy


def _assemble(source: onnx.ModelProto, writer: GraphWriter) -> onnx.ModelProto:
    nodes = _without_dead_nodes(writer.nodes, {value.name for value in source.graph.output})
    used = {name for node in nodes for name in node.input}
    tensors = [*source.graph.initializer, *writer.constants.values()]
    graph = helper.make_graph(
        nodes,
        "int8",
        source.graph.input,
        source.graph.output,
        [tensor for tensor in tensors if tensor.name in used],
    )
    model = helper.make_model(
        graph, opset_imports=source.opset_import, producer_name="microscope-edge"
    )
    model.ir_version = source.ir_version
    onnx.checker.check_model(model)
    return model


def _without_dead_nodes(nodes: list[onnx.NodeProto], needed: set[str]) -> list[onnx.NodeProto]:
    live: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if any(name in needed for name in node.output):
            live.append(node)
            needed = needed.union(node.input)
    return live[::-1]
