"""Bias correction: the outputs of a quantized layer get the mean that they have in float.

Rounded weights and clipped activations shift the mean of a channel, and the shifts add up from
layer to layer. Layer by layer in the graph's order, each behind those already corrected, the mean
of each output channel over the calibration images is brought to that of the FP32 graph by the
layer's bias (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
Correction, ICCV 2019, section 4.2; the means are measured, as in their appendix D).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from converters.float_run import FloatRun
from converters.layer_walk import LayerWalk
from converters.onnx_to_int8 import Int8Model
from converters.placement import WEIGHTED

# With 128 images the divergence of cells8 from FP32 was a sixth larger, for half the time.
MAX_IMAGES: Final = 256
# A network for large images is corrected on fewer of them: its maps have as many more places to
# take a mean over.
CARRIED_BYTES: Final = 2**28

Shifts = Mapping[str, NDArray[np.float64]]
Quantize = Callable[[onnx.ModelProto], Int8Model]


def image_limit(model: onnx.ModelProto) -> int:
    """How many images may be carried through a network's widest activation in 8 bits each."""
    shapes = (value.type.tensor_type.shape.dim for value in model.graph.value_info)
    widest: int = max(prod(max(d.dim_value, 1) for d in shape) for shape in shapes)
    return max(1, min(MAX_IMAGES, CARRIED_BYTES // widest))


def correct_biases(model: onnx.ModelProto, quantize: Quantize, reference: FloatRun) -> Int8Model:
    """The quantized graph of `model` with its layers' means brought to those of FP32.

    Args:
        model: FP32.
        quantize: to the graph whose layers are corrected, all floats in FP32.
        reference: what `model` computes on the images over which the means are taken.
    """
    channels = {name: means.shape[1] for name, means in reference.channel_means.items()}
    own = shift_biases(model, {name: np.zeros(count) for name, count in channels.items()})
    plain, biases = quantize(own), _biases(own)
    walk = LayerWalk(plain.model, reference.images)
    shifts: dict[str, NDArray[np.float64]] = {}
    for layer in plain.quantized_layers:
        wanted = reference.channel_means[layer].mean(axis=0, dtype=np.float64)
        shifts[layer] = wanted - walk.mean_output(layer, biases)
        biases[layer] = np.asarray(biases[layer] + shifts[layer], np.float32)
    return quantize(shift_biases(model, shifts))


def shift_biases(model: onnx.ModelProto, shifts: Shifts) -> onnx.ModelProto:
    """A copy in which every named layer has a bias of its own, moved by its shift (channels,)."""
    shifted = onnx.ModelProto()
    shifted.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in shifted.graph.node:
        if node.name in shifts:
            bias = shifts[node.name] + _bias(node, constants)
            name = f"{node.name}_shifted_bias"
            tensor = numpy_helper.from_array(np.asarray(bias, np.float32), name)
            shifted.graph.initializer.append(tensor)
            del node.input[2:]
            node.input.append(name)
    return shifted


def _biases(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in WEIGHTED]
    return {node.name: _bias(node, constants) for node in nodes}


def _bias(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> NDArray[np.float32]:
    """A layer's bias (channels,), zero where it has none."""
    if len(node.input) < 3 or not node.input[2]:
        return np.zeros(1, np.float32)
    return np.asarray(numpy_helper.to_array(constants[node.input[2]]), np.float32).ravel()
