"""Corrects a quantized graph so that its layers' outputs are close to the FP32 graph's.

Layers are corrected in the graph's order, each with the corrected layers before it. First the
weights are rounded so that the layer's output changes least. Then the bias is shifted so that the
mean of each output channel over the calibration images equals that of the FP32 graph (Nagel et al.,
Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019, section 4.2; the
means are measured, as in their appendix D). Without this, the shifts from rounding and clipping
would add up from layer to layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.correction.float_run import FloatRun
from converters.correction.layer_walk import LayerConstants, LayerWalk
from converters.correction.patches import patch_covariance
from converters.correction.weight_rounding import round_weights
from converters.int8.onnx_to_int8 import Int8Model
from converters.int8.qdq import along_axis, weight_scale_name
from converters.layers.biases import shift_biases
from converters.layers.placement import Placement
from converters.layers.shapes import shapes_of_one_image
from converters.layers.weighted import BiasFinder, channel_axis, outputs_first
from converters.onnx_graph.lookup import constant_arrays
from edge.text.progress import OnCount

# With 256 images the divergence of cells8 was a seventh lower, but correction took twice the time.
MAX_IMAGES: Final = 128
# Limits the memory for one activation of all images. A network for large images is corrected on
# fewer of them; its larger activations give as many values for the means.
CARRIED_BYTES: Final = 2**28

Quantize = Callable[[onnx.ModelProto, Mapping[str, NDArray[np.int8]]], Int8Model]


def image_limit(model: onnx.ModelProto) -> int:
    """How many images fit into CARRIED_BYTES at the network's largest activation in 8 bits."""
    shapes = shapes_of_one_image(model, {value.name for value in model.graph.value_info})
    widest = max(prod(shape) for shape in shapes.values())
    return max(1, min(MAX_IMAGES, CARRIED_BYTES // widest))


def correct_layers(
    model: onnx.ModelProto,
    quantize: Quantize,
    placement: Placement,
    reference: FloatRun,
    *,
    on_layer: OnCount = lambda _done, _total: None,
) -> Int8Model:
    """Quantize `model` with rounding and biases that keep each layer's output close to FP32's.

    Args:
        model: FP32.
        quantize: makes the quantized graph from a model and the integer weights of its layers;
            the float part stays FP32.
        reference: what `model` computes on the images for the correction.
        on_layer: called with (layers done, of how many).
    """
    channels = {name: means.shape[1] for name, means in reference.channel_means.items()}
    own = shift_biases(model, {name: np.zeros(count) for name, count in channels.items()})
    plain = quantize(own, {})
    scales, constants = constant_arrays(plain.model), constant_arrays(own)
    nodes = {node.name: node for node in own.graph.node}
    finder = BiasFinder(own)
    walk = LayerWalk(plain.model, reference.images)
    shifts: dict[str, NDArray[np.float64]] = {}
    rounded: dict[str, NDArray[np.int8]] = {}
    for done, layer in enumerate(plain.quantized_layers, start=1):
        node = nodes[layer]
        weight = outputs_first(node, constants[node.input[1]])
        bias = _own_bias(finder, node, constants, channels[layer])
        steps = scales[weight_scale_name(layer)]
        covariance = patch_covariance(node, weight.shape, walk.inputs(layer))
        integers = round_weights(weight, steps, placement.weight_steps, covariance)
        rounded[layer] = outputs_first(node, integers)
        rounded_weight = rounded[layer] * along_axis(steps, weight.ndim, channel_axis(node))
        walk.set_constants(layer, LayerConstants(rounded_weight, bias))
        wanted = reference.channel_means[layer].mean(axis=0, dtype=np.float64)
        shifts[layer] = wanted - walk.mean_output(layer)
        shifted = np.asarray(bias + shifts[layer], np.float32)
        walk.set_constants(layer, LayerConstants(rounded_weight, shifted))
        on_layer(done, len(plain.quantized_layers))
    return quantize(shift_biases(model, shifts), rounded)


def _own_bias(
    finder: BiasFinder,
    layer: onnx.NodeProto,
    constants: Mapping[str, NDArray[np.float32]],
    channels: int,
) -> NDArray[np.float32]:
    place = finder.find(layer, channels)
    if place is None:
        raise AssertionError(f"{layer.name} has no bias, although shift_biases gave it one")
    return constants[place.node.input[place.position]]
