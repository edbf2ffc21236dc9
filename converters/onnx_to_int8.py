"""FP32 ONNX and activation ranges to INT8 ONNX in the Q/DQ form that is fast on x86 CPUs.

Activations are unsigned and asymmetric, per tensor; weights are signed, per output channel.
On CPUs with VNNI this runs about three times as fast as signed activations (docs/conversion.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import onnx
from onnx import helper, numpy_helper

from converters.calibration import Ranges
from converters.qdq import GraphWriter
from converters.torch_to_onnx import CHANNELS_FIRST, NORMALISED
from edge.preprocess import InputSpec

WEIGHTED: Final = frozenset({"Conv", "Gemm"})
ARITHMETIC: Final = frozenset({"Add", "GlobalAveragePool", "AveragePool", "MaxPool", "Concat"})
# These change no value; left in float they would put two conversions between integer layers.
MOVING: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
QUANTIZABLE: Final = WEIGHTED | ARITHMETIC | MOVING


@dataclass(frozen=True, slots=True)
class Int8Model:
    """The INT8 graph and which weighted layers are in it in INT8 and in float."""

    model: onnx.ModelProto
    quantized_layers: tuple[str, ...]
    float_layers: tuple[str, ...]


def quantize(model: onnx.ModelProto, ranges: Ranges, spec: InputSpec) -> Int8Model:
    """Put the inputs of every layer of a type in `QUANTIZABLE` behind Q/DQ pairs.

    Args:
        model: folded FP32, as `source_to_onnx` gives it.
        ranges: of the activations of that same model.
        spec: the network's input.
    """
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    writer = GraphWriter(ranges.by_tensor, weights)
    # Nodes are known by their first output: protobuf hands out a new object at every access.
    chosen = {n.output[0] for n in model.graph.node if _is_quantizable(writer, n)}
    writer.sources = _saturating_activations(model, writer, chosen)
    for node in model.graph.node:
        if node.output[0] in chosen:
            writer.nodes.append(_quantized_copy(writer, node))
        elif node.output[0] not in writer.sources:
            writer.nodes.append(node)
        if node.output[0] == CHANNELS_FIRST:
            _read_image_bytes(writer, spec)
    weighted = [node for node in model.graph.node if node.op_type in WEIGHTED]
    return Int8Model(
        model=_assemble(model, writer),
        quantized_layers=tuple(n.name for n in weighted if n.output[0] in chosen),
        float_layers=tuple(n.name for n in weighted if n.output[0] not in chosen),
    )


def image_parameters(spec: InputSpec) -> tuple[float, int] | None:
    """Scale and zero point under which image bytes are the quantized network input already.

    (x / 255 - mean) / std equals (x - zero_point) * scale where 255 * mean is a whole number and
    the channels agree; None otherwise.
    """
    zero_point = 255 * spec.mean[0]
    agree = len(set(spec.mean)) == len(set(spec.std)) == 1
    if not agree or abs(zero_point - round(zero_point)) > 1e-6:
        return None
    return 1 / (255 * spec.std[0]), round(zero_point)


def _read_image_bytes(writer: GraphWriter, spec: InputSpec) -> None:
    """Where that is exact, take the image bytes in place of normalising and quantizing them."""
    found = image_parameters(spec)
    if found is None:
        return
    parameters = writer.add_parameters(NORMALISED, *found)
    inputs, output = [CHANNELS_FIRST, *parameters], writer.dequantized[NORMALISED]
    writer.nodes.append(helper.make_node("DequantizeLinear", inputs, [output], name=output))


def _is_quantizable(writer: GraphWriter, node: onnx.NodeProto) -> bool:
    if node.op_type not in QUANTIZABLE:
        return False
    activations = [name for name in node.input if name and name not in writer.weights]
    if not activations or any(name not in writer.ranges for name in activations):
        return False
    if node.op_type in MOVING:
        return activations == [node.input[0]]
    if node.op_type in ARITHMETIC:
        return len(activations) == len(node.input)
    # Weights computed at run time have no fixed scale.
    has_weights = activations == [node.input[0]] and node.input[1] in writer.weights
    return has_weights and (node.op_type == "Conv" or _is_linear(node))


def _is_linear(node: onnx.NodeProto) -> bool:
    """Whether a Gemm is a plain linear layer with output channels on axis 0 of its weight."""
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    plain = {"transA": 0, "transB": 1, "alpha": 1.0, "beta": 1.0}
    defaults = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
    return {**defaults, **found} == plain


def _saturating_activations(
    model: onnx.ModelProto, writer: GraphWriter, chosen: set[str]
) -> dict[str, str]:
    """Relu and Clip outputs that are only read quantized, with the tensor they are made of.

    Unsigned quantization with zero point 0 saturates at 0 and at the largest calibrated value,
    which is what the node does; ONNX Runtime merges a layer with its output's quantization
    only when nothing stands between them.
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


def _quantized_copy(writer: GraphWriter, node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for position, name in enumerate(node.input):
        if name and name not in writer.weights:
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
