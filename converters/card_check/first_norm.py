"""Finds a wrong normalisation by the statistics that the first batch norm stored in training.

A batch norm stores the mean and variance of its input over the training images. With a wrong mean
and std in the card, its input has others. That shows even if hardly any label changes, because the
training varied brightness and stain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from converters.card_check.alternatives import OtherInput, other_normalisations
from converters.inputs.image_set import ImageSet, evenly, image_batches
from converters.loading.samples import normalise
from converters.onnx_graph.lookup import attribute, constants, graph_inputs, readers
from converters.onnx_graph.sessions import open_session, session_options
from edge.preprocess import InputSpec

# Each pixel is a sample, so a few images are enough.
MAX_IMAGES: Final = 64
BATCH_SIZE: Final = 16
# Distances in nats. Measured with the right normalisation: 0.02 for images of the reference model's
# own laboratory, up to 0.25 for images of a single class, 0.28 and 0.57 for two other laboratories.
# With a common wrong one: 0.38 or more. So a normalisation is named only if its distance is at most
# NEAR and the card's is larger by at least MIN_GAP.
NEAR: Final = 0.15
MIN_GAP: Final = 0.3

Activations = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class FirstNorm:
    """A batch norm that follows the first convolution.

    `activations` maps normalised images (batch, 3, h, w) to the norm's input (batch, channels,
    h, w). Mean and variance (channels,) are those of the training. `epsilon` is added to variances,
    as the norm itself does, so that constant channels do not count.
    """

    activations: Activations
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    epsilon: float

    def distance(self, images: ImageSet, spec: InputSpec) -> float:
        """The distance of images under a spec from the training images, in nats.

        It is the Kullback-Leibler divergence of two normal distributions, averaged over channels.
        """
        mean, variance = self._moments(images, spec)
        trained = self.variance + self.epsilon
        ratio = (variance + self.epsilon) / trained
        shift = (mean - self.mean) ** 2 / trained
        return float(np.mean(ratio - 1 - np.log(ratio) + shift) / 2)

    def _moments(
        self, images: ImageSet, spec: InputSpec
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        count, total, squares = 0, np.zeros_like(self.mean), np.zeros_like(self.mean)
        for batch in image_batches(images, spec, BATCH_SIZE):
            rows = np.moveaxis(self.activations(normalise(batch, spec)), 1, -1)
            values = rows.reshape(-1, len(self.mean)).astype(np.float64)
            count += len(values)
            total += values.sum(axis=0)
            squares += (values**2).sum(axis=0)
        mean = total / count
        # Rounding may make the variance of a constant channel negative.
        return mean, np.maximum(squares / count - mean**2, 0)


@dataclass(frozen=True, slots=True)
class Misfit:
    """The normalisation that fits in place of the card's, with the distances of both."""

    other: OtherInput
    card_distance: float
    other_distance: float


def find_first_norm(graph: onnx.ModelProto) -> FirstNorm | None:
    """The batch norm after the first convolution; None if there is none or it was folded."""
    (image,) = graph_inputs(graph)
    convolution = _only_reader(graph, image.name, "Conv")
    norm = convolution and _only_reader(graph, convolution.output[0], "BatchNormalization")
    weights = constants(graph)
    if norm is None or not set(norm.input[3:5]) <= weights.keys():
        return None
    mean, variance = (
        numpy_helper.to_array(weights[name]).astype(np.float64) for name in norm.input[3:5]
    )
    # 1e-5 is ONNX's default.
    epsilon = attribute(norm, "epsilon", 1e-5)
    return FirstNorm(_open_up_to(graph, image.name, norm.input[0]), mean, variance, epsilon)


def find_misfit(norm: FirstNorm, images: ImageSet, spec: InputSpec) -> Misfit | None:
    """The closest other normalisation, if it fits the training and the card's does not."""
    some = evenly(images, MAX_IMAGES)
    found = norm.distance(some, spec)
    if found < MIN_GAP:
        return None
    others = [Misfit(o, found, norm.distance(some, o.spec)) for o in other_normalisations(spec)]
    best = min(others, key=lambda misfit: misfit.other_distance)
    is_clear = best.other_distance <= NEAR and found - best.other_distance >= MIN_GAP
    return best if is_clear else None


def _only_reader(graph: onnx.ModelProto, name: str, kind: str) -> onnx.NodeProto | None:
    """The node that reads a tensor, if it is the only one and has this operator type."""
    found = readers(graph, name)
    return found[0] if len(found) == 1 and found[0].op_type == kind else None


def _open_up_to(graph: onnx.ModelProto, source: str, target: str) -> Activations:
    known = onnx.shape_inference.infer_shapes(graph)
    part = onnx.utils.Extractor(known).extract_model([source], [target])
    session = open_session(part, session_options(threads=1))
    return lambda images: np.asarray(session.run(None, {source: images})[0], np.float32)
