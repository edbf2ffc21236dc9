"""What the graphs of a bundle see in images: sessions, features and logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from converters.inputs.image_set import ImageSet, image_batches
from converters.int8.graphs import FP32, GRAPHS, INT8, INT8_7BIT
from edge.backends.cpu import has_vnni
from edge.bundle import Bundle
from edge.errors import BundleError
from edge.preprocess import InputSpec
from edge.session import InferenceSession
from edge.text.progress import OnCount


@dataclass(frozen=True, slots=True)
class Seen:
    """What one graph gives for images.

    Attributes:
        features: (images, views, count); the first view is the image as it is.
        logits: (images, classes), of the first view.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]


def graphs_of(bundle: Bundle) -> dict[str, onnx.ModelProto]:
    """The graphs that a bundle holds, by name; the FP32 graph is among them.

    Raises:
        BundleError: it is not, or one is no graph.
    """
    held = {artefact.path for artefact in bundle.artefacts}
    if FP32.path not in held:
        raise BundleError(
            f"{bundle.root} has no {FP32.path}, which a new last layer is made from. Convert the "
            "model again."
        )
    found = {}
    for name, kind in GRAPHS.items():
        if kind.path in held:
            try:
                found[name] = onnx.load_from_string(bundle.read(kind.path))
            except DecodeError as error:
                raise BundleError(
                    f"{bundle.root / kind.path} is no ONNX graph. Convert the model again."
                ) from error
    return found


def served_here(models: dict[str, onnx.ModelProto]) -> str:
    """The name of the graph that a CPU such as this one runs."""
    served = INT8.name if has_vnni() else INT8_7BIT.name
    return served if served in models else FP32.name


def look(session: InferenceSession, images: ImageSet, spec: InputSpec, on_count: OnCount) -> Seen:
    """Show all images to a graph that gives its features, each in four views.

    A cell has no upper end: turned by 90 degrees it is as good an example. On raabin with 24 cells
    of a class the turned ones bring two points.
    """
    features, logits = [], []
    for number, (image,) in enumerate(image_batches(images, spec, 1), start=1):
        found = session.infer(np.stack(_views(image)))
        assert found.features is not None, "the graph was given its features"  # noqa: S101
        features.append(found.features)
        logits.append(found.logits[0])
        on_count(number, len(images.files))
    return Seen(np.stack(features), np.stack(logits))


def _views(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The image and three others of its shape (height, width, 3): turned, or else mirrored."""
    height, width, _ = image.shape
    if height == width:
        return [np.rot90(image, turns) for turns in range(4)]
    return [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
