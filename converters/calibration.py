"""Activation ranges of a network on calibration images, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort

from converters.image_set import ImageSet, image_batches
from edge.errors import ConfigError
from edge.preprocess import InputSpec

# Fewer images leave the tails of the activations to chance.
MIN_IMAGES: Final = 32
# All intermediate results of one batch are in memory at once.
BATCH_SIZE: Final = 4
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ranges:
    """Smallest and largest value of each activation tensor over all calibration images."""

    by_tensor: dict[str, Range]
    image_count: int
    images_sha256: str
    method: str = "min-max"


def calibrate(
    model: onnx.ModelProto,
    images: ImageSet,
    spec: InputSpec,
    on_image: Callable[[int, int], None],
) -> Ranges:
    """Run the FP32 model on every image and keep each activation's extremes.

    The result does not depend on the order of the images: minima and maxima commute.

    Raises:
        ConfigError: too few images.
    """
    total = len(images.files)
    if total < MIN_IMAGES:
        raise ConfigError(
            f"{images.origin} holds {total} calibration images, {MIN_IMAGES} are needed. "
            "Give a folder with some hundred exported images."
        )
    session, names = _open_with_all_outputs(model)
    extremes: dict[str, Range] = {}
    input_name = session.get_inputs()[0].name
    done = 0
    for batch in image_batches(images, spec, BATCH_SIZE):
        results = session.run(names, {input_name: batch})
        for name, values in zip(names, results, strict=True):
            low, high = extremes.get(name, (np.inf, -np.inf))
            extremes[name] = (min(low, float(values.min())), max(high, float(values.max())))
        done += len(batch)
        on_image(done, total)
    return Ranges(extremes, total, images.sha256)


def _open_with_all_outputs(model: onnx.ModelProto) -> tuple[ort.InferenceSession, list[str]]:
    """A session that returns every float activation of the model."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    known = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    floats = [
        name
        for node in model.graph.node
        for name in node.output
        if name in known and known[name].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    del extended.graph.output[:]
    extended.graph.output.extend(known[name] for name in floats)
    options = ort.SessionOptions()
    # Optimised graphs fuse the tensors away whose ranges are wanted.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(
        extended.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, floats
