"""Collects histograms of a network's activations on calibration images, in one pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import onnx
import onnxruntime as ort

from converters.calibration.histogram import Histogram
from converters.inputs.image_set import ImageSet, image_batches
from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.sessions import open_session, session_options
from edge.errors import ModelError
from edge.preprocess import InputSpec
from edge.text.progress import OnCount

# With more images of single cells than this, ranges change by less than a percent.
GOOD_IMAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """The result of one pass over the calibration images.

    `predicted` counts the images by the index of the class that the FP32 model predicts.
    """

    histograms: dict[str, Histogram]
    predicted: dict[int, int]
    image_count: int
    images_sha256: str

    def warnings(self, classes: tuple[str, ...]) -> list[str]:
        """Warnings about this set of images."""
        found = []
        if self.image_count < GOOD_IMAGES:
            found.append(
                f"only {self.image_count} calibration images; {GOOD_IMAGES} or more give better "
                "ranges"
            )
        if len(self.predicted) == 1 and len(classes) > 1:
            (only,) = self.predicted
            found.append(
                f"all calibration images look like {classes[only]}; the ranges may not fit the "
                "other classes. Give images of all classes"
            )
        return found


def calibrate(
    model: onnx.ModelProto,
    tensors: list[str],
    images: ImageSet,
    spec: InputSpec,
    on_image: OnCount,
) -> Calibration:
    """Run the FP32 model on every image and count the values of `tensors`.

    Images run one by one, so the result does not depend on batches, and memory is needed only for
    one image's activations. The histograms do not depend on the order either.

    Raises:
        ModelError: an activation is not finite.
    """
    total = len(images.files)
    session = _open_with_outputs(model, tensors)
    logits_name = model.graph.output[0].name
    histograms = {name: Histogram() for name in tensors}
    predicted: Counter[int] = Counter()
    input_name = session.get_inputs()[0].name
    for done, image in enumerate(image_batches(images, spec, 1), start=1):
        logits, *activations = session.run([logits_name, *tensors], {input_name: image})
        predicted[int(logits[0].argmax())] += 1
        for name, values in zip(tensors, activations, strict=True):
            _count(histograms[name], values, name)
        on_image(done, total)
    return Calibration(histograms, dict(predicted), total, images.sha256)


def _count(histogram: Histogram, values: object, name: str) -> None:
    try:
        histogram.add(values)  # type: ignore[arg-type]  # ONNX Runtime has no types
    except ValueError as error:
        raise ModelError(
            f"the model computes values that are not finite at {name}. Its weights are damaged; "
            "export or copy it again."
        ) from error


def _open_with_outputs(model: onnx.ModelProto, tensors: list[str]) -> ort.InferenceSession:
    extended = copy_of(model)
    known = {value.name: value for value in model.graph.value_info}
    present = {value.name for value in model.graph.output}
    extended.graph.output.extend(known[name] for name in tensors if name not in present)
    return open_session(extended, session_options())
