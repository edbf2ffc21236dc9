"""Quantizes an FP32 ONNX graph: adds the Q/DQ pairs that a target needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from converters.calibration.ranges import Range
from converters.export.normalisation import CHANNELS_FIRST, NORMALISED, image_parameters
from converters.int8.qdq import GraphWriter
from converters.layers.choice import choose
from converters.layers.placement import Placement
from converters.layers.weighted import weighted_layers
from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import constant_arrays
from edge.preprocess import InputSpec


@dataclass(frozen=True, slots=True)
class Int8Model:
    """The INT8 graph, and its weighted layers that are quantized and that stay in float.

    `quantized_nodes` are the quantized layers and all other nodes with quantized inputs.
    """

    model: onnx.ModelProto
    quantized_layers: tuple[str, ...]
    float_layers: tuple[str, ...]
    quantized_nodes: tuple[str, ...]


def quantize(
    model: onnx.ModelProto,
    ranges: dict[str, Range],
    spec: InputSpec,
    placement: Placement,
    *,
    kept_float: Collection[str] = (),
    rounded: Mapping[str, NDArray[np.int8]] | None = None,
) -> Int8Model:
    """Add Q/DQ pairs where `placement` needs them and a range is known.

    Args:
        model: folded FP32, from `source_to_onnx`.
        ranges: of the activations of this model.
        spec: the network's input.
        placement: the target's rules.
        kept_float: names of nodes that stay in float.
        rounded: by layer, the integers of its weight if they are not the nearest ones.
    """
    writer = GraphWriter(placement, ranges, constant_arrays(model), rounded or {})
    choice = choose(model, placement, ranges, kept_float=kept_float)
    writer.sources = choice.clamped
    written = set(choice.written)
    layers = weighted_layers(model)
    quantized_layers = {n.output[0] for n in layers}.intersection(choice.reads)
    for node in model.graph.node:
        quantized = {*choice.reads.get(node.output[0], ()), *written.intersection(node.input)}
        if quantized:
            is_layer = node.output[0] in quantized_layers
            writer.nodes.append(_quantized_copy(writer, node, quantized, is_layer=is_layer))
        elif node.output[0] not in writer.sources:
            writer.nodes.append(node)
        if node.output[0] == CHANNELS_FIRST and not placement.symmetric:
            _read_image_bytes(writer, spec)
    return Int8Model(
        model=_assemble(model, writer),
        quantized_layers=tuple(n.name for n in layers if n.output[0] in quantized_layers),
        float_layers=tuple(n.name for n in layers if n.output[0] not in quantized_layers),
        quantized_nodes=tuple(n.name for n in model.graph.node if n.output[0] in choice.reads),
    )


def quantizable_tensors(model: onnx.ModelProto, *placements: Placement) -> list[str]:
    """Activations whose ranges the placements need, in the order of the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    floats = {
        value.name
        for value in model.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    needed: set[str] = set()
    for placement in placements:
        choice = choose(model, placement, floats - constants)
        needed.update(choice.written, *choice.reads.values())
    names = (name for node in model.graph.node for name in (*node.input, *node.output))
    return [name for name in dict.fromkeys(names) if name in needed]


def _read_image_bytes(writer: GraphWriter, spec: InputSpec) -> None:
    """If exact, use the image bytes as the quantized input instead of normalising them."""
    found = image_parameters(spec)
    if found is None:
        return
    parameters = writer.add_parameters(NORMALISED, *found)
    inputs, output = [CHANNELS_FIRST, *parameters], writer.dequantized[NORMALISED]
    writer.nodes.append(helper.make_node("DequantizeLinear", inputs, [output], name=output))


def _quantized_copy(
    writer: GraphWriter, node: onnx.NodeProto, quantized: Collection[str], *, is_layer: bool
) -> onnx.NodeProto:
    copy = copy_of(node)
    for position, name in enumerate(node.input):
        if name in quantized:
            copy.input[position] = writer.activation(name)
    if is_layer:
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
