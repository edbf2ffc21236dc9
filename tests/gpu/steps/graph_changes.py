"""Copies of a Q/DQ graph that give out more, or less, or say the same in another form.

Each change leaves what the graph computes as it is, within the rounding of INT8. A library that
reads one form wrong may read the other right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Change = Callable[[onnx.ModelProto], onnx.ModelProto]

_ROW: Final = "all_tensors"


def tensors(model: onnx.ModelProto) -> list[str]:
    """What is quantized on its way, in the graph's order: activations, no weights; the output."""
    return [*(node.input[0] for node in _quantizers(model)), model.graph.output[0].name]


def beginning(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The graph up to one tensor and its Q/DQ pair, with that as its output in FP32.

    With the pair: quantization is fused into the layer before it, and may be what is wrong.
    """
    if name == model.graph.output[0].name:
        return model
    name = _dequantized(model)[name]
    shapes = onnx.shape_inference.infer_shapes(model)
    cut = onnx.utils.Extractor(shapes).extract_model([model.graph.input[0].name], [name])
    output = cut.graph.output[0]
    if output.type.tensor_type.elem_type == TensorProto.FLOAT16:
        cut.graph.node.append(_to_float(name))
        output.name, output.type.tensor_type.elem_type = _float_name(name), TensorProto.FLOAT
    return cut


def read_out(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[int]]:
    """The graph with one output (batch, n): all `tensors` in a row; and their numbers of values.

    Activations are taken behind their Q/DQ pair: before it, the output would keep the library from
    fusing the quantization into the layer, and what is wrong may be that fusion.
    """
    shown = _copy(model)
    logits = shown.graph.output[0]
    infos = {info.name: info for info in onnx.shape_inference.infer_shapes(model).graph.value_info}
    infos[logits.name] = logits
    names = [*_dequantized(shown).values(), logits.name]
    flat = []
    for name in names:
        is_half = infos[name].type.tensor_type.elem_type == TensorProto.FLOAT16
        source = _float_name(name) if is_half else name
        shown.graph.node.extend([_to_float(name)] if is_half else [])
        flat.append(f"{name}_flat")
        shown.graph.node.append(helper.make_node("Flatten", [source], flat[-1:], axis=1))
    shown.graph.node.append(helper.make_node("Concat", flat, [_ROW], axis=1))
    sizes = [_values(infos[name]) for name in names]
    row = helper.make_tensor_value_info(_ROW, TensorProto.FLOAT, ["batch", sum(sizes)])
    del shown.graph.output[:]
    shown.graph.output.append(row)
    return shown, sizes


def relu_for_clip(model: onnx.ModelProto) -> onnx.ModelProto:
    """ReLU in place of ReLU6 where the scale behind it ends at 6: quantization clips the rest."""
    changed = _copy(model)
    constants, read = _constants(changed), _read_by(changed)
    for node in changed.graph.node:
        reader = read.get(node.output[0])
        if node.op_type != "Clip" or reader is None or reader.op_type != "QuantizeLinear":
            continue
        low, high = (float(constants[name]) for name in node.input[1:3])
        ends_at = 127 * float(constants[reader.input[1]])
        if low == 0 and ends_at <= high * 1.001:
            node.CopyFrom(helper.make_node("Relu", node.input[:1], node.output, name=node.name))
    return changed


def integer_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights as 8-bit integers behind DQ alone, in place of floats behind Q and DQ."""
    changed = _copy(model)
    constants = _constants(changed)
    for node in list(changed.graph.node):
        if node.op_type != "QuantizeLinear" or node.input[0] not in constants:
            continue
        weight, scale = constants[node.input[0]], constants[node.input[1]]
        by_channel = scale.reshape(-1, *(1 for _ in weight.shape[1:])).astype(np.float32)
        integers = np.clip(np.rint(weight / by_channel), -128, 127).astype(np.int8)
        changed.graph.initializer.append(numpy_helper.from_array(integers, node.output[0]))
        changed.graph.node.remove(node)
    return changed


def both_sides_of_add(model: onnx.ModelProto) -> onnx.ModelProto:
    """Additions with both inputs quantized, in place of the identity alone."""
    changed = _copy(model)
    made_by = {node.output[0]: node for node in changed.graph.node}
    nodes: list[onnx.NodeProto] = []
    for node in changed.graph.node:
        if node.op_type == "Add":
            sides = [made_by.get(name) for name in node.input]
            quantized = [s for s in sides if s is not None and s.op_type == "DequantizeLinear"]
            if len(quantized) == 1:
                other = int(sides[0] is quantized[0])
                name, parameters = node.input[other], quantized[0].input[1:]
                nodes += [
                    helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}_side_q"]),
                    helper.make_node(
                        "DequantizeLinear", [f"{name}_side_q", *parameters], [f"{name}_side_dq"]
                    ),
                ]
                node.input[other] = f"{name}_side_dq"
        nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del changed.graph.node[:]
    changed.graph.node.extend(kept)
    return changed


def larger_scales(model: onnx.ModelProto) -> onnx.ModelProto:
    """No weight's scale below a thousandth of its layer's largest one.

    Channels whose weights are all but zero have scales of 1e-8, which FP16 does not hold.
    """
    changed = _copy(model)
    for tensor in changed.graph.initializer:
        if tensor.name.endswith("_weight_scale"):
            scales = numpy_helper.to_array(tensor)
            least = np.maximum(scales, scales.max() / 1000).astype(scales.dtype)
            tensor.CopyFrom(numpy_helper.from_array(least, tensor.name))
    return changed


CHANGES: Final[dict[str, Change]] = {
    "ReLU in place of ReLU6": relu_for_clip,
    "weights as integers": integer_weights,
    "both sides of additions quantized": both_sides_of_add,
    "no tiny scales": larger_scales,
}


def _quantizers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The QuantizeLinear nodes of activations."""
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = (node for node in model.graph.node if node.op_type == "QuantizeLinear")
    return [node for node in nodes if node.input[0] not in constants]


def _dequantized(model: onnx.ModelProto) -> dict[str, str]:
    """Activations behind their Q/DQ pair, by the tensor before it."""
    read = _read_by(model)
    return {node.input[0]: read[node.output[0]].output[0] for node in _quantizers(model)}


def _read_by(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The first node that reads a tensor, by the tensor's name."""
    return {name: node for node in reversed(model.graph.node) for name in node.input}


def _constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _values(info: onnx.ValueInfoProto) -> int:
    """Values of one image."""
    return int(np.prod([dim.dim_value for dim in info.type.tensor_type.shape.dim[1:]]))


def _float_name(name: str) -> str:
    return f"{name}_float"


def _to_float(name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [_float_name(name)], to=TensorProto.FLOAT)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
