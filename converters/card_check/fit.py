"""How well a model's logits fit the labels, and when other logits fit clearly better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.postprocess import softmax

# Models may be a point or two better on an input that they were not trained on (Touvron et al.
# 2019, arXiv 1906.06423); only more than that contradicts the card.
MIN_GAIN: Final = 0.03
# Fewer images than this are chance, whatever share of a small set they are.
MIN_GAINED_IMAGES: Final = 5
# Chance reaches it three times in 100,000, with a dozen inputs tried four in 10,000. Five would see
# a loss of 7 points on 160 images, as under ImageNet's mean and std, only every other time.
MIN_STANDARD_ERRORS: Final = 4.0
# Below it, a person would not call the images recognised.
MIN_BALANCED_ACCURACY: Final = 0.6


@dataclass(frozen=True, slots=True)
class Fit:
    """Labels (images,), predicted classes (images,) and the probability of the right class.

    Unlike its logarithm the probability is bounded, so that a few surely wrong images do not
    hide what the others say.
    """

    labels: NDArray[np.intp]
    predicted: NDArray[np.intp]
    share: NDArray[np.float64]

    def first(self, count: int) -> Fit:
        """The fit of the first images alone."""
        return Fit(self.labels[:count], self.predicted[:count], self.share[:count])

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images get their label."""
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
        """Whether the model knows these images at all."""
        return self.balanced_accuracy >= MIN_BALANCED_ACCURACY

    @property
    def leaves_no_doubt(self) -> bool:
        """Whether no other input could be clearly better."""
        return self.accuracy > 1 - MIN_GAIN


def measure_fit(logits: NDArray[np.float32], labels: NDArray[np.intp]) -> Fit:
    """How well logits (images, classes) fit the labels (images,)."""
    shares = softmax(logits)
    return Fit(labels, logits.argmax(axis=1), shares[np.arange(len(labels)), labels])


def is_clearly_better(other: Fit, found: Fit) -> bool:
    """Whether `other` recognises the images, more of them, and not by chance.

    Only images on which the two differ count: another order of two rare classes leaves the rest
    untouched.
    """
    differing = int(np.count_nonzero(other.share != found.share))
    gained = int(other.right.sum()) - int(found.right.sum())
    is_large = gained >= max(MIN_GAINED_IMAGES, MIN_GAIN * differing)
    return is_large and other.is_recognised and standard_errors(other, found) >= MIN_STANDARD_ERRORS


def standard_errors(other: Fit, found: Fit) -> float:
    """The paired mean gain in the right class's probability, in its standard errors."""
    gain = (other.share - found.share)[other.share != found.share]
    if len(gain) < 2:
        return 0.0
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return float(gain.mean() / max(error, np.finfo(float).eps))
