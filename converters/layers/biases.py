"""Shifts the biases of layers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from converters.layers.weighted import BiasFinder
from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import constants

Shifts = Mapping[str, NDArray[np.float64]]


def shift_biases(model: onnx.ModelProto, shifts: Shifts) -> onnx.ModelProto:
    """A copy in which every named layer has its own bias, shifted by the given (channels,).

    A MatMul without a bias gets an Add node for it.
    """
    shifted = copy_of(model)
    known = constants(model)
    finder = BiasFinder(shifted)
    additions: dict[str, onnx.NodeProto] = {}
    for layer in shifted.graph.node:
        if layer.name not in shifts:
            continue
        bias, name = shifts[layer.name], f"{layer.name}_shifted_bias"
        place = finder.find(layer, len(bias))
        if place is not None:
            held = place.node.input[place.position]
            # Keep the bias's own shape: it may have more dimensions than the layer's output.
            bias = bias + numpy_helper.to_array(known[held])
            place.node.input[place.position] = name
        elif layer.op_type == "MatMul":
            additions[layer.name] = _addition(layer, name)
        else:
            del layer.input[2:]
            layer.input.append(name)
        tensor = numpy_helper.from_array(np.asarray(bias, np.float32), name)
        shifted.graph.initializer.append(tensor)
    for position in reversed(range(len(shifted.graph.node))):
        if addition := additions.get(shifted.graph.node[position].name):
            shifted.graph.node.insert(position + 1, addition)
    return shifted


def _addition(layer: onnx.NodeProto, bias: str) -> onnx.NodeProto:
    """Rename a layer's output, and return a node that adds a bias under the old name."""
    (output,) = layer.output
    layer.output[0] = f"{output}_without_bias"
    return helper.make_node("Add", [layer.output[0], bias], [output], name=f"{layer.name}_shift")
