"""The first nodes of every graph: from uint8 images to the network's normalised float input.

(x / 255 - mean) / std is one multiplication and one addition. Their place in the graph matters for
speed: images have channels last, and broadcasting three numbers over the last axis takes ten times
as long as over long rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.preprocess import InputSpec

INPUT_NAME: Final = "images"
BATCH: Final = "batch"
# The uint8 image with channels first, and the network's own normalised float input.
CHANNELS_FIRST: Final = "channels_first"
NORMALISED: Final = "normalised"


def prepend_normalisation(model: onnx.ModelProto, spec: InputSpec) -> None:
    """Replace the float input `NORMALISED` by uint8 images (batch, height, width, 3)."""
    agree = len(set(spec.mean)) == len(set(spec.std)) == 1
    nodes = _scalar_nodes(model, spec) if agree else _row_nodes(model, spec)
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)
    shape: list[str | int | None] = [BATCH, spec.height, spec.width, 3]
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, shape))


def image_parameters(spec: InputSpec) -> tuple[float, int] | None:
    """Scale and zero point with which the image bytes already are the quantized network input.

    (x / 255 - mean) / std equals (x - zero_point) * scale if 255 * mean is a whole number and all
    channels have the same mean and std; otherwise None.
    """
    zero_point = 255 * spec.mean[0]
    agree = len(set(spec.mean)) == len(set(spec.std)) == 1
    if not agree or abs(zero_point - round(zero_point)) > 1e-6:
        return None
    return 1 / (255 * spec.std[0]), round(zero_point)


def _scalar_nodes(model: onnx.ModelProto, spec: InputSpec) -> list[onnx.NodeProto]:
    """For equal channels: bytes are transposed before the cast, a quarter of the memory traffic."""
    scale, offset = _factors(spec)
    _add(model, "normalise_scale", scale[:1].reshape(()))
    _add(model, "normalise_offset", offset[:1].reshape(()))
    return [
        _transpose(INPUT_NAME, CHANNELS_FIRST),
        _cast(CHANNELS_FIRST, "as_float"),
        *_affine("as_float", NORMALISED),
    ]


def _row_nodes(model: onnx.ModelProto, spec: InputSpec) -> list[onnx.NodeProto]:
    """For different channels: the factors are repeated along each row of interleaved channels."""
    scale, offset = _factors(spec)
    _add(model, "normalise_scale", np.tile(scale, spec.width))
    _add(model, "normalise_offset", np.tile(offset, spec.width))
    _add(model, "rows_shape", np.array([-1, spec.height, spec.width * 3], np.int64))
    _add(model, "image_shape", np.array([-1, spec.height, spec.width, 3], np.int64))
    return [
        helper.make_node("Reshape", [INPUT_NAME, "rows_shape"], ["rows"], "normalise_rows"),
        _cast("rows", "as_float"),
        *_affine("as_float", "normalised_rows"),
        helper.make_node(
            "Reshape", ["normalised_rows", "image_shape"], ["normalised_image"], "normalise_image"
        ),
        _transpose("normalised_image", NORMALISED),
    ]


def _factors(spec: InputSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    std, mean = np.asarray(spec.std, np.float64), np.asarray(spec.mean, np.float64)
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def _affine(source: str, target: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Mul", [source, "normalise_scale"], ["scaled"], "normalise_mul"),
        helper.make_node("Add", ["scaled", "normalise_offset"], [target], "normalise_add"),
    ]


def _transpose(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node(
        "Transpose", [source], [target], "normalise_transpose", perm=[0, 3, 1, 2]
    )


def _cast(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], "normalise_cast", to=TensorProto.FLOAT)


def _add(model: onnx.ModelProto, name: str, values: NDArray[np.generic]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(values, name))
