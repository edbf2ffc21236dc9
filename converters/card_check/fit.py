"""Measures how well logits fit the labels, and whether other logits fit clearly better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.postprocess import softmax

# A model may be a point or two better on another input than that of its training (Touvron et al.
# 2019, arXiv 1906.06423), so only a larger gain contradicts the card.
MIN_GAIN: Final = 0.03
# In a small set a gain of fewer images than this may be chance.
MIN_GAINED_IMAGES: Final = 5
# By chance this is reached in 3 of 100,000 cases; with a dozen inputs tried, in 4 of 10,000. With 5
# standard errors, a loss of 7 points on 160 images, as ImageNet's mean and std cause it, would be
# found only half of the time.
MIN_STANDARD_ERRORS: Final = 4.0
# Below this the images count as not recognised.
MIN_BALANCED_ACCURACY: Final = 0.6


@dataclass(frozen=True, slots=True)
class Fit:
    """Labels (images,), predicted classes (images,) and `share`, the right class's probability.

    The probability is used, not its logarithm, because it is bounded: a few images with confident
    wrong labels cannot outweigh all others.
    """

    labels: NDArray[np.intp]
    predicted: NDArray[np.intp]
    share: NDArray[np.float64]

    def first(self, count: int) -> Fit:
        """The fit of the first images alone."""
        return Fit(self.labels[:count], self.predicted[:count], self.share[:count])

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each image is labelled right (images,)."""
        return np.equal(self.predicted, self.labels)

    @property
    def accuracy(self) -> float:
        """Share of right labels."""
        return float(self.right.mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes of the share of right labels."""
        present = np.unique(self.labels)
        return float(np.mean([self.right[self.labels == c].mean() for c in present]))

    @property
    def is_recognised(self) -> bool:
        """Whether the balanced accuracy is high enough that the model knows these images."""
        return self.balanced_accuracy >= MIN_BALANCED_ACCURACY

    @property
    def leaves_no_doubt(self) -> bool:
        """Whether the accuracy is so high that no other input could be clearly better."""
        return self.accuracy > 1 - MIN_GAIN


def measure_fit(logits: NDArray[np.float32], labels: NDArray[np.intp]) -> Fit:
    """How well logits (images, classes) fit the labels (images,)."""
    shares = softmax(logits)
    return Fit(labels, logits.argmax(axis=1), shares[np.arange(len(labels)), labels])


def is_clearly_better(other: Fit, found: Fit) -> bool:
    """Whether `other` recognises clearly more of the images, and not by chance.

    The gain is compared with the number of images on which the two differ: another order of two
    rare classes changes only few.
    """
    differing = int(np.count_nonzero(other.share != found.share))
    gained = int(other.right.sum()) - int(found.right.sum())
    is_large = gained >= max(MIN_GAINED_IMAGES, MIN_GAIN * differing)
    return is_large and other.is_recognised and standard_errors(other, found) >= MIN_STANDARD_ERRORS


def standard_errors(other: Fit, found: Fit) -> float:
    """The mean gain in the right class's probability, divided by its standard error."""
    gain = (other.share - found.share)[other.share != found.share]
    if len(gain) < 2:
        return 0.0
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return float(gain.mean() / max(error, np.finfo(float).eps))
