"""Writes QuantizeLinear and DequantizeLinear nodes: scales, zero points, weights and biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

from converters.calibration.ranges import Range
from converters.layers.placement import MIN_SCALE, Placement
from converters.layers.weighted import channel_axis

UINT8_MAX: Final = 255
INT8_MAX: Final = 127
# Keeps a quantized bias within 32 bits, with a margin of one bit.
BIAS_LIMIT: Final = 2.0**30


@dataclass(slots=True)
class GraphWriter:
    """The nodes and constants of the graph that is being written, in order."""

    placement: Placement
    ranges: dict[str, Range]
    weights: dict[str, NDArray[np.float32]]
    # By weighted layer, the integers of its weight if they are not the nearest ones.
    rounded: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    # By activation, the name of its dequantized copy, and its scale.
    dequantized: dict[str, str] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    # By activation, the tensor that is quantized in its place.
    sources: dict[str, str] = field(default_factory=dict)

    def activation(self, name: str) -> str:
        """The activation's name after its Q/DQ pair; all readers share one pair."""
        if name not in self.dequantized:
            parameters_of = signed_parameters if self.placement.symmetric else unsigned_parameters
            scale, zero_point = parameters_of(self.ranges[name], self.placement.min_scale)
            parameters = self.add_parameters(name, self.placement.held(scale), zero_point)
            source = self.sources.get(name, name)
            self.nodes += [
                _node("QuantizeLinear", [source, *parameters], f"{name}_q"),
                _node("DequantizeLinear", [f"{name}_q", *parameters], f"{name}_dq"),
            ]
        return self.dequantized[name]

    def add_parameters(self, name: str, scale: ArrayLike, zero_point: int) -> list[str]:
        """Add scale and zero point of an activation as constants; returns their names."""
        # Scalars, not one-element tensors: otherwise ONNX Runtime runs additions in float.
        type_ = np.int8 if self.placement.symmetric else np.uint8
        self.add_constant(f"{name}_scale", np.asarray(scale, np.float32))
        self.add_constant(f"{name}_zero", np.asarray(zero_point, type_))
        self.dequantized[name] = f"{name}_dq"
        self.scales[name] = float(np.asarray(scale, np.float32))
        return [f"{name}_scale", f"{name}_zero"]

    def weight_and_bias(self, node: onnx.NodeProto, *, input_scale: float) -> None:
        """Quantize a layer's constants, in place."""
        weight = self.weights[node.input[1]]
        has_bias = len(node.input) > 2 and bool(node.input[2])
        # A Gemm's bias may also be a row (1, channels) or a single number.
        bias = self.weights[node.input[2]].ravel() if has_bias else None
        is_integer_bias = bias is not None and self.placement.integer_bias
        steps = self.placement.weight_steps
        held_bias = bias if is_integer_bias else None
        axis = channel_axis(node)
        scales = self.placement.held(
            weight_scales(weight, steps, held_bias, input_scale, self.placement.min_scale, axis)
        )
        by_channel = along_axis(scales, weight.ndim, axis)
        integers = self.rounded.get(node.name)
        if self.placement.float_weights:
            if integers is not None:
                self.add_constant(f"{node.name}_rounded", integers * by_channel)
                node.input[1] = f"{node.name}_rounded"
            node.input[1] = self._fake_quantized_weight(node, scales, axis)
        else:
            if integers is None:
                nearest = np.clip(np.rint(weight / by_channel), -steps, steps)
                integers = nearest.astype(np.int8)
            name = f"{node.name}_weight"
            node.input[1] = self._dequantized_constant(name, integers, scales, axis)
        if bias is not None and is_integer_bias:
            # ONNX Runtime runs a layer in integers only if its 32-bit bias has exactly this scale.
            bias_scales = (np.float32(input_scale) * scales).astype(np.float32)
            node.input[2] = self._dequantized_constant(
                f"{node.name}_bias", np.rint(bias / bias_scales).astype(np.int32), bias_scales
            )

    def add_constant(self, name: str, values: NDArray[np.generic]) -> None:
        """Add one initializer."""
        self.constants[name] = numpy_helper.from_array(np.array(values, order="C"), name)

    def _dequantized_constant(
        self, name: str, integers: NDArray[np.generic], scales: NDArray[np.float32], axis: int = 0
    ) -> str:
        self.add_constant(f"{name}_q", integers)
        parameters = self._add_channel_parameters(name, scales, integers.dtype)
        self.nodes.append(_node("DequantizeLinear", [f"{name}_q", *parameters], f"{name}_dq", axis))
        return f"{name}_dq"

    def _fake_quantized_weight(
        self, node: onnx.NodeProto, scales: NDArray[np.float32], axis: int
    ) -> str:
        name = f"{node.name}_weight"
        parameters = self._add_channel_parameters(name, scales, np.dtype(np.int8))
        self.nodes += [
            _node("QuantizeLinear", [node.input[1], *parameters], f"{name}_q", axis),
            _node("DequantizeLinear", [f"{name}_q", *parameters], f"{name}_dq", axis),
        ]
        return f"{name}_dq"

    def _add_channel_parameters(
        self, name: str, scales: NDArray[np.float32], type_: np.dtype[Any]
    ) -> list[str]:
        self.add_constant(f"{name}_scale", scales)
        self.add_constant(f"{name}_zero", np.zeros(scales.shape, type_))
        return [f"{name}_scale", f"{name}_zero"]


def along_axis(scales: NDArray[np.float32], rank: int, axis: int) -> NDArray[np.float32]:
    """Scales (channels,), reshaped to multiply a weight with its channels on `axis`."""
    return scales.reshape([-1 if other == axis else 1 for other in range(rank)])


def weight_scale_name(layer: str) -> str:
    """The name of the constant with the scales of a layer's weight."""
    return f"{layer}_weight_scale"


def unsigned_parameters(limits: Range, min_scale: float = MIN_SCALE) -> tuple[float, int]:
    """Scale and zero point of an unsigned 8-bit activation; zero is represented exactly."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = max((high - low) / UINT8_MAX, min_scale)
    return scale, int(np.clip(round(-low / scale), 0, UINT8_MAX))


def signed_parameters(limits: Range, min_scale: float = MIN_SCALE) -> tuple[float, int]:
    """Scale of a signed 8-bit activation with zero point 0."""
    return max(max(-limits[0], limits[1]) / INT8_MAX, min_scale), 0


def weight_scales(
    weight: NDArray[np.float32],
    steps: int,
    bias: NDArray[np.float32] | None,
    input_scale: float,
    min_scale: float = MIN_SCALE,
    axis: int = 0,
) -> NDArray[np.float32]:
    """One symmetric scale per output channel; `axis` is the weight's axis of output channels.

    A channel with tiny weights and a large bias gets a larger scale than its weights need, so that
    the bias fits into 32 bits.
    """
    others = tuple(other for other in range(weight.ndim) if other != axis)
    largest = np.abs(weight).max(axis=others)
    scales = np.maximum(largest / steps, min_scale)
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (input_scale * BIAS_LIMIT))
    return np.asarray(scales, np.float32)


def _node(operator: str, inputs: list[str], output: str, axis: int | None = None) -> onnx.NodeProto:
    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    return helper.make_node(operator, inputs, [output], name=output, **attributes)
