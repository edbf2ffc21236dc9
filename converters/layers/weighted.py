"""Finds the layers with constant weights, and their weights and biases.

Conv and Gemm have the bias as an input. MatMul has none: frameworks export a linear layer on more
than two dimensions as a MatMul followed by an Add of a constant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from converters.layers.placement import WEIGHTED
from converters.onnx_graph.lookup import attribute, constants, readers_by_tensor

Number = TypeVar("Number", bound=np.generic)
# Position of the bias among the inputs of Conv and Gemm.
_OWN_BIAS: Final = 2


@dataclass(frozen=True, slots=True)
class BiasPlace:
    """The node that adds a layer's bias, and the position of the bias among its inputs."""

    node: onnx.NodeProto
    position: int


def weighted_layers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The layers with constant weights, quantizable or not, in the graph's order."""
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    return [node for node in model.graph.node if has_weight(node, ranks)]


def has_weight(node: onnx.NodeProto, ranks: Mapping[str, int]) -> bool:
    """Whether a node multiplies an activation with a constant weight; its bias is constant too.

    Args:
        ranks: number of dimensions of each constant.
    """
    if node.op_type not in WEIGHTED or len(node.input) < 2:
        return False
    read, weight = node.input[0], node.input[1]
    is_matrix = node.op_type == "Conv" or ranks.get(weight) == 2
    has_constants = all(name in ranks for name in node.input[1:] if name)
    return has_constants and is_matrix and bool(weight) and read not in ranks


def channel_axis(layer: onnx.NodeProto) -> int:
    """The axis of a layer's weight that has the output channels."""
    if layer.op_type == "Conv":
        return 0
    return 0 if attribute(layer, "transB", 0) else 1


class BiasFinder:
    """Finds the biases of the layers of one graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._constants = constants(model)
        self._kept = {value.name for value in model.graph.output}
        self._readers = readers_by_tensor(model.graph.node)

    def find(self, layer: onnx.NodeProto, channels: int) -> BiasPlace | None:
        """The place of a layer's bias; None if it has none."""
        if layer.op_type != "MatMul":
            has_bias = len(layer.input) > _OWN_BIAS and bool(layer.input[_OWN_BIAS])
            return BiasPlace(layer, _OWN_BIAS) if has_bias else None
        readers = self._readers.get(layer.output[0], [])
        if len(readers) != 1 or readers[0].op_type != "Add" or layer.output[0] in self._kept:
            return None
        (addition,) = readers
        position = 1 - list(addition.input).index(layer.output[0])
        is_bias = _is_vector(self._constants.get(addition.input[position]), channels)
        return BiasPlace(addition, position) if is_bias else None


def _is_vector(tensor: TensorProto | None, size: int) -> bool:
    """Whether a constant has one value per channel, on its last axis."""
    dims: Collection[int] = () if tensor is None else tensor.dims
    return list(dims)[-1:] == [size] and all(d == 1 for d in list(dims)[:-1])


def outputs_first(layer: onnx.NodeProto, weight: NDArray[Number]) -> NDArray[Number]:
    """A weight with its output channels on axis 0; applied twice, it restores the layout."""
    return weight if channel_axis(layer) == 0 else weight.T
