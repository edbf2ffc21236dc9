"""Finds the features of a network: the input of the linear layer that gives the logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx

from converters.layers.shapes import Shape, shapes_of_one_image
from converters.onnx_graph.lookup import attribute, producers
from converters.onnx_graph.nested import captured
from edge.errors import ModelError

# Each of them moves, scales or selects numbers: what it gives is linear in its first input.
_PASSED: Final = frozenset(
    {
        *("Identity", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear"),
        *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Gather", "Slice"),
        *("BatchNormalization", "Mul", "Div"),
    }
)
# The outputs of several last layers may be added or stand side by side.
_JOINED: Final = frozenset({"Add", "Sub", "Sum", "Mean", "Concat"})
# The reference of a laboratory keeps 65 rows of this length in FP16: 8192 take 1 MB.
MOST_FEATURES: Final = 8192


class NoFeaturesError(ModelError):
    """The network's features cannot be found. The message is a reason without a full stop."""


@dataclass(frozen=True, slots=True)
class Features:
    """A tensor that a last linear layer reads: `count` numbers, in the shape of one image."""

    name: str
    count: int
    shape: Shape


def find_features(model: onnx.ModelProto) -> list[Features]:
    """The inputs of the last linear layers, in the order in which the logits are put together.

    A network with several heads, whose outputs are added or stand side by side, has several.

    Raises:
        NoFeaturesError: the logits do not come from a linear layer, or its input is not one row
            of at most `MOST_FEATURES` numbers an image.
    """
    walk = _Walk(model)
    layers = [walk.made[name] for name in walk.layers(model.graph.output[0].name)]
    read = {name for layer in layers for name in layer.input[:2]}
    shapes = shapes_of_one_image(model, read)
    found = [_checked(layer, shapes) for layer in layers]
    # Two heads may read the same tensor.
    found = list(dict.fromkeys(found))
    if (total := sum(one.count for one in found)) > MOST_FEATURES:
        raise NoFeaturesError(
            f"the last layer reads {total} numbers an image, at most {MOST_FEATURES} are kept"
        )
    return found


def _checked(layer: onnx.NodeProto, shapes: dict[str, Shape]) -> Features:
    """The input of a linear layer, which must be one row an image."""
    name = layer.input[0]
    shape = shapes[name]
    if layer.op_type == "Conv":
        _require_whole_map(layer, shape, shapes[layer.input[1]])
    count = int(np.prod(shape[1:]))
    if len(shape) < 2 or shape[0] != 1 or (layer.op_type == "MatMul" and count != shape[-1]):
        raise NoFeaturesError(
            f"the last layer {layer.name} reads a tensor of shape {shape} of one image, not one row"
        )
    return Features(name, count, shape)


def _require_whole_map(node: onnx.NodeProto, shape: Shape, weights: Shape) -> None:
    """Require a convolution whose kernel covers its input: then it is a linear layer.

    Raises:
        NoFeaturesError: it is another convolution.
    """
    if shape[2:] != weights[2:] or any(attribute(node, "pads", ())):
        size = " x ".join(map(str, shape[2:]))
        raise NoFeaturesError(
            f"the last layer is convolution {node.name} over maps of {size}, which are not pooled "
            "before it"
        )


class _Walk:
    """The way back from the logits. Tensors are constant where they do not depend on the images."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.made = producers(model)
        self._varying = {value.name for value in model.graph.input}
        self._varying -= {tensor.name for tensor in model.graph.initializer}
        # The nodes stand in an order in which each reads only what was made before.
        for node in model.graph.node:
            if not self._varying.isdisjoint((*node.input, *captured(node))):
                self._varying.update(name for name in node.output if name)

    def layers(self, name: str) -> Iterator[str]:
        """The outputs of the linear layers of which a tensor is a linear function.

        Raises:
            NoFeaturesError: it is no such function.
        """
        node = self.made.get(name)
        while node is not None and node.op_type not in ("Gemm", "MatMul", "Conv"):
            varying = [source for source in node.input if source in self._varying]
            if node.op_type in _JOINED and len(varying) > 1:
                for source in varying:
                    yield from self.layers(source)
                return
            is_passed = node.op_type in _PASSED | _JOINED and len(varying) == 1
            # A constant divided by a tensor is not linear in it.
            if not is_passed or (node.op_type in _PASSED and varying[0] != node.input[0]):
                break
            node = self.made.get(varying[0])
        if node is None or not self._is_linear(node):
            what = f"{node.op_type} {node.name}".strip() if node else "the images"
            raise NoFeaturesError(f"the logits come from {what}, not from a linear layer")
        yield node.output[0]

    def _is_linear(self, node: onnx.NodeProto) -> bool:
        """Whether it multiplies its first input by constant weights."""
        varying = [source for source in node.input if source in self._varying]
        is_plain = not attribute(node, "transA", 0) and attribute(node, "group", 1) == 1
        is_known = node.op_type in ("Gemm", "MatMul", "Conv")
        return is_known and is_plain and varying == [node.input[0]]
