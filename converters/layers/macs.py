"""Counts the multiply-accumulate operations of a graph for one image.

Every operator that multiplies matrices counts, whether quantized or not, with constant weights or
not. Element-wise products do not count, nor do nodes inside If and Loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Final

import onnx

from converters.layers.shapes import Shape, shapes_of_one_image
from converters.onnx_graph.lookup import attribute

Shapes = list[Shape]


def layer_macs(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-accumulates of each node that multiplies matrices, by node name.

    Args:
        model: from uint8 images to logits, from `source_to_onnx`.
    """
    nodes = [node for node in model.graph.node if node.op_type in _FORMULAS]
    names = {name for node in nodes for name in (*node.input, node.output[0]) if name}
    shapes = shapes_of_one_image(model, names)
    return {
        node.name: _FORMULAS[node.op_type](
            node, [shapes.get(name, ()) for name in node.input], shapes[node.output[0]]
        )
        for node in nodes
    }


def int8_share(macs: Mapping[str, int], quantized: Collection[str]) -> float:
    """The named layers' share of all multiply-accumulates.

    Args:
        macs: by layer, from `layer_macs`.
    """
    return sum(macs[name] for name in quantized if name in macs) / max(sum(macs.values()), 1)


def _convolution(_node: onnx.NodeProto, inputs: Shapes, output: Shape) -> int:
    # The weight is (outputs, inputs / groups, ...); all of it is used once per output position.
    return prod(inputs[1]) * output[0] * prod(output[2:])


def _transposed_convolution(_node: onnx.NodeProto, inputs: Shapes, _output: Shape) -> int:
    return prod(inputs[1]) * inputs[0][0] * prod(inputs[0][2:])


def _linear(node: onnx.NodeProto, inputs: Shapes, output: Shape) -> int:
    is_turned = attribute(node, "transA", 0)
    return prod(output) * inputs[0][0 if is_turned else 1]


def _product(_node: onnx.NodeProto, inputs: Shapes, output: Shape) -> int:
    return prod(output) * inputs[0][-1]


def _attention(_node: onnx.NodeProto, inputs: Shapes, output: Shape) -> int:
    # Queries times keys, then probabilities times values.
    return (prod(inputs[0]) + prod(output)) * inputs[1][-2]


def _recurrent(_node: onnx.NodeProto, inputs: Shapes, _output: Shape) -> int:
    # Input and recurrent weights are used once for each step of each sequence.
    return prod(inputs[0][:2]) * (prod(inputs[1]) + prod(inputs[2]))


def _einsum(node: onnx.NodeProto, inputs: Shapes, output: Shape) -> int:
    equation = attribute(node, "equation").decode().replace(" ", "")
    left, arrow, right = equation.partition("->")
    kept = right if arrow else [index for index in left if left.count(index) == 1]
    sizes: dict[str, int] = {}
    for term, shape in zip(left.split(","), inputs, strict=True):
        before, _, after = term.partition("...")
        sizes.update(zip(before, shape, strict=False))
        sizes.update(zip(after, shape[len(shape) - len(after) :], strict=True))
    summed = [size for index, size in sizes.items() if index not in kept]
    # More than two factors are counted as if they were multiplied one after the other.
    return prod(output) * prod(summed) * max(len(inputs) - 1, 1)


_FORMULAS: Final[dict[str, Callable[[onnx.NodeProto, Shapes, Shape], int]]] = {
    "Conv": _convolution,
    "DeformConv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _linear,
    "MatMul": _product,
    "Einsum": _einsum,
    "Attention": _attention,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
