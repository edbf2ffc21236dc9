"""Fits the temperature that makes a graph's confidence match its accuracy (Guo et al., ICML 2017).

A confidence is the softmax of logits / temperature. Training with label smoothing makes a network
underconfident, training without it overconfident; one number corrects both, and changes no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.accuracy.statistics import Floats, calibration_error
from edge.postprocess import softmax

# With fewer images, or without a wrong label, nothing shows how sure a model may be.
MIN_IMAGES: Final = 100
FOLDS: Final = 5
# Beyond these a confidence says nothing about the model that was trained.
_LOWEST, _HIGHEST = 0.1, 10.0
# Weight of the prior for a temperature of 1, in images. It keeps a fit on few wrong labels sane.
_PRIOR_IMAGES: Final = 1.0
# Halvings of the interval of 1 / temperature: to about 1e-9.
_HALVINGS: Final = 34
# A fixed seed: the same images are in the same fold at every conversion.
_SEED: Final = 54321


@dataclass(frozen=True, slots=True)
class Temperature:
    """What a graph's logits are divided by.

    Attributes:
        value: 1 where none was fitted.
        reason: why none was; None where one was.
        held_out: of each image (n,) the temperature that was fitted without its fold; all 1 where
            none was fitted. What it does for these images is not flattered.
    """

    value: float
    reason: str | None
    held_out: Floats

    @property
    def is_fitted(self) -> bool:
        """Whether it comes from images."""
        return self.reason is None


def choose_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Temperature:
    """The temperature of a graph, or 1 and why where the images do not support one.

    Args:
        logits: of validation images, shape (n, classes).
        labels: indices of their classes, shape (n,); -1 where the class is not known.
    """
    count = len(labels)
    none = np.ones(count)
    if (labels < 0).any():
        return Temperature(1.0, "the images have no labels", none)
    if count < MIN_IMAGES:
        return Temperature(1.0, f"it has {count} of the {MIN_IMAGES} images it needs", none)
    if (logits.argmax(1) == labels).all():
        reason = "no image is labelled wrong, so nothing shows how sure the model may be"
        return Temperature(1.0, reason, none)
    held_out = _held_out(logits, labels)
    if not _is_truer(logits, labels, held_out):
        return Temperature(
            1.0, "none makes the confidence truer on images that it was not fitted on", none
        )
    # Rounded here, so that all figures are of the number that the manifest holds.
    return Temperature(round(fit_temperature(logits, labels), 4), None, held_out)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the highest likelihood of the labels, from 0.1 to 10.

    The loss is convex in 1 / temperature, so its slope is zero at one place at most.

    Args:
        logits: shape (n, classes).
        labels: indices of the classes, shape (n,).
    """
    low, high = 1 / _HIGHEST, 1 / _LOWEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(logits, labels, middle) > 0:
            high = middle
        else:
            low = middle
    return 2 / (low + high)


def _slope(logits: NDArray[np.float32], labels: NDArray[np.int64], sharpness: float) -> float:
    """Derivative of the summed loss by `sharpness`, 1 / temperature, with that of the prior.

    The prior is the gamma distribution with its mode at 1: a loss of sharpness - log(sharpness).
    """
    expected = (softmax(logits, 1 / sharpness) * logits).sum(axis=1)
    of_label = logits[np.arange(len(labels)), labels]
    return float((expected - of_label).sum() + _PRIOR_IMAGES * (1 - 1 / sharpness))


def _held_out(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Floats:
    """For each image (n,) the temperature fitted on the other folds."""
    fold = np.random.default_rng(_SEED).permutation(len(labels)) % FOLDS
    fitted = [fit_temperature(logits[fold != f], labels[fold != f]) for f in range(FOLDS)]
    return np.asarray(fitted, np.float64)[fold]


def _is_truer(logits: NDArray[np.float32], labels: NDArray[np.int64], held_out: Floats) -> bool:
    """Whether the temperatures lower the loss and the calibration error of the images left out.

    A few sure and wrong labels, as of images in the wrong folder, rule the loss: a temperature for
    them alone makes all other confidences too low.
    """
    none = np.ones(len(labels))
    right = logits.argmax(1) == labels
    before, after = (
        float(calibration_error(softmax(logits, t[:, np.newaxis]).max(1), right))
        for t in (none, held_out)
    )
    is_likelier = _loss(logits, labels, held_out).mean() < _loss(logits, labels, none).mean()
    return bool(is_likelier and after < before)


def _loss(logits: NDArray[np.float32], labels: NDArray[np.int64], temperatures: Floats) -> Floats:
    """Negative logarithm of the label's probability (n,), each image with its temperature (n,)."""
    scaled = logits.astype(np.float64) / temperatures[:, np.newaxis]
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    sums = np.log(np.exp(shifted).sum(axis=1))
    return np.asarray(sums - shifted[np.arange(len(labels)), labels], np.float64)
