"""Runs the FP32 graph on calibration images, as the reference for quantized graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from converters.layers.weighted import weighted_layers
from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.sessions import open_session, session_options

# Larger batches were no faster and took several times the memory.
BATCH: Final = 1
_MEANS: Final = "{}_channel_means"
# The first operator set in which ReduceMean takes its axes as an input.
_AXES_ARE_INPUTS: Final = 18


@dataclass(frozen=True, slots=True)
class FloatRun:
    """Images, and what the FP32 graph computes on them.

    Attributes:
        images: uint8 (images, height, width, 3), preprocessed.
        logits: (images, classes).
        channel_means: by weighted layer, the mean of each output channel over all positions,
            (images, channels); for a MatMul before the bias is added.
    """

    images: NDArray[np.uint8]
    logits: NDArray[np.float32]
    channel_means: dict[str, NDArray[np.float32]]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The class that the FP32 graph predicts for each image (images,)."""
        return np.asarray(self.logits.argmax(1), np.int64)

    def chosen(self, positions: NDArray[np.int64]) -> FloatRun:
        """The same for a part of the images."""
        means = {name: values[positions] for name, values in self.channel_means.items()}
        return FloatRun(self.images[positions], self.logits[positions], means)


def run_float(model: onnx.ModelProto, images: NDArray[np.uint8]) -> FloatRun:
    """Run the FP32 graph once on every image."""
    layers = weighted_layers(model)
    session = _open(model, layers)
    outputs = [model.graph.output[0].name, *(_MEANS.format(layer.name) for layer in layers)]
    name = model.graph.input[0].name
    # One by one: see BATCH.
    rows = [session.run(outputs, {name: image[np.newaxis]}) for image in images]
    logits, *means = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    flat = (values.reshape(len(values), -1) for values in means)
    return FloatRun(images, logits, dict(zip((n.name for n in layers), flat, strict=True)))


def balanced(predicted: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions of at most `count` images, as equally from each predicted class as possible.

    A random sample would have few images of a rare class, or none.
    """
    by_class = [np.flatnonzero(predicted == label) for label in np.unique(predicted)]
    turns = [(turn, position) for members in by_class for turn, position in enumerate(members)]
    return np.asarray(sorted(position for _, position in sorted(turns)[:count]), np.int64)


def mean_over_places(
    layer: onnx.NodeProto, name: str, opset_imports: Sequence[onnx.OperatorSetIdProto]
) -> list[onnx.NodeProto]:
    """Nodes that compute the mean of each output channel over all positions, (1, channels, ...).

    The first dimension may be the windows or patches of one image; the mean is taken over it too.
    """
    (output,) = layer.output
    rows, axes = f"{name}_rows", f"{name}_axes"
    to_rows = (
        helper.make_node("GlobalAveragePool", [output], [rows], name=rows)
        if layer.op_type == "Conv"
        else helper.make_node("Flatten", [output], [rows], name=rows, axis=-1)
    )
    opset = next(found.version for found in opset_imports if not found.domain)
    if opset < _AXES_ARE_INPUTS:
        return [to_rows, helper.make_node("ReduceMean", [rows], [name], name=name, axes=[0])]
    return [
        to_rows,
        helper.make_node("Constant", [], [axes], name=axes, value_ints=[0]),
        helper.make_node("ReduceMean", [rows, axes], [name], name=name),
    ]


def open_graph(model: onnx.ModelProto) -> ort.InferenceSession:
    """A session for a graph with any inputs and outputs, which computes layers in float."""
    options = session_options(threads=1)
    # ONNX Runtime must not fuse Q/DQ pairs with layers: a fused layer has no output before its
    # quantization, and for TensorRT's graphs the fused kernels compute other values.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return open_session(model, options)


def _open(model: onnx.ModelProto, layers: list[onnx.NodeProto]) -> ort.InferenceSession:
    extended = copy_of(model)
    for layer in layers:
        name = _MEANS.format(layer.name)
        extended.graph.node.extend(mean_over_places(layer, name, model.opset_import))
        value = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        extended.graph.output.append(value)
    return open_graph(extended)
