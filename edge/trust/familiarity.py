"""Whether an image is like those of its laboratory: a score, its limit, and a reason for people.

The score joins two distances from the laboratory's images: of the network's features, from their
64 principal components (the residual), and of the picture's statistics (Mahalanobis). Each is
sensitive to what the other misses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import DeviceError
from edge.trust.reference import GraphLimits, Reference
from edge.trust.unfamiliar import Unfamiliar

# A picture fault is named only if the statistics lie beyond this standard score, which one in
# twenty images of the laboratory exceeds; below, the features alone are strange.
_CLEAR: Final = 1.64
# And only if the deviation points along the fault: the cosine of the angle between the two.
_ALIKE: Final = 0.5
# Larger scores tell nothing more; JSON needs a finite number.
_MOST: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How far an image is from the laboratory's.

    Attributes:
        score: about 0 in the laboratory, larger is stranger; at most 1000.
        limit: one in a hundred of the laboratory's images has a larger score.
        passes: whether the score is within the limit.
        reason: an `Unfamiliar`; None if it passes.
        shift: the distance of the statistics, standardised by predicted class: mean 0 and
            standard deviation 1 in the laboratory, upwards stranger. For `edge.trust.drift`.
    """

    score: float
    limit: float
    passes: bool
    reason: str | None
    shift: float


class FamiliarityCheck:
    """Judges the images that one graph labels. Safe to use from any thread."""

    def __init__(self, reference: Reference, graph: str, *, keeps_label: bool = False) -> None:
        """Take the limits of a graph.

        Args:
            graph: a model's file in the bundle.
            keeps_label: whether an image that does not pass keeps its label, with a note.

        Raises:
            BundleError: the reference has no limits for it.
        """
        self.keeps_label = keeps_label
        self._reference = reference
        self._limits = reference.limits_of(graph)

    def judge(
        self,
        statistics: NDArray[np.float32],
        features: NDArray[np.float32] | None,
        predicted: int,
    ) -> Familiarity:
        """Judge one image.

        Args:
            statistics: from `picture_statistics`.
            features: (features,); None where the graph has none.
            predicted: the index of the most probable class.

        Raises:
            DeviceError: the features are missing or not finite.
        """
        reference, limits = self._reference, self._limits
        deviation = reference.deviation(statistics, predicted)
        distance = float(np.log(np.linalg.norm(deviation) + 1e-6))
        picture = (distance - reference.distance_mean) / reference.distance_sd
        score = min(joined(picture, self._residual(features, limits)), _MOST)
        passes = score <= limits.limit
        mean, sd = reference.class_distance[predicted]
        return Familiarity(
            score=score,
            limit=limits.limit,
            passes=passes,
            reason=None if passes else str(_reason(reference, deviation, picture)),
            shift=min((distance - mean) / sd, _MOST),
        )

    def _residual(self, features: NDArray[np.float32] | None, limits: GraphLimits) -> float | None:
        space = self._reference.features
        if space is None:
            return None
        if features is None or features.shape != space.mean.shape:
            found = "none" if features is None else str(features.shape)
            raise DeviceError(
                f"the network gave features {found}, the bundle's reference needs "
                f"{space.mean.shape}. Build the engine or convert the model again."
            )
        residual = space.residual(features)
        if not np.isfinite(residual):
            raise DeviceError(
                "the network gave features that are not finite. Restart or change device."
            )
        return (residual - limits.residual_mean) / limits.residual_sd


def joined(picture: float, residual: float | None) -> float:
    """One score from the standard scores of statistics and features: their smooth maximum.

    A sum would dilute what only one of them sees by the noise of the other.
    """
    if residual is None:
        return picture
    return float(np.logaddexp(picture, residual)) - math.log(2)


def _reason(reference: Reference, deviation: NDArray[np.float64], picture: float) -> Unfamiliar:
    """The simulated fault that moves the laboratory's images in the same direction."""
    if picture < _CLEAR or not reference.faults:
        return Unfamiliar.UNLIKE
    alike = reference.fault_directions @ (deviation / np.linalg.norm(deviation))
    best = int(alike.argmax())
    return Unfamiliar(reference.faults[best]) if alike[best] >= _ALIKE else Unfamiliar.UNLIKE
