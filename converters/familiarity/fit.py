"""Fits the reference of a laboratory to what was seen in its images. Needs no labels.

The space of the features and the statistics are fitted on all images; the standard scores and the
limit come from cross-fitting, where each image is judged by a fit without it. Otherwise the images
that are fitted would seem too familiar, and new ones of the same laboratory would be flagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.familiarity.look import Seen
from edge.errors import ModelError
from edge.trust.familiarity import joined
from edge.trust.reference import FeatureSpace, GraphLimits, Reference
from edge.trust.statistics import NAMES

# With fewer images neither the space nor the limit of one in a hundred is worth anything.
LEAST_IMAGES: Final = 100
COMPONENTS: Final = 64
# At least this many images for each component.
_IMAGES_PER_COMPONENT: Final = 4
# About this many features for each component: with one direction left beside the space, nothing
# of an image could be new.
_FEATURES_PER_COMPONENT: Final = 2
# Bytes that the components and the mean may take as base64 of 2 and 4 bytes a number.
_MOST_FEATURE_BYTES: Final = 370_000
_FOLDS: Final = 5
_IN_LABORATORY: Final = 0.99
# With few images that point is that of their one or two strangest, and a single odd one would let
# another laboratory pass. It lies at most so many robust standard deviations above the median:
# 2.8 to 4 are usual of 100 images, 3.1 of 800, and 6.4 where another laboratory passed.
_MOST_BEYOND: Final = 4.5
# The upper quartile of a normal distribution, in standard deviations.
_QUARTILE: Final = 0.6745
# The logarithm of the distance varies by 0.2 to 0.7 in a laboratory. Where it does not, the images
# are one image, and every other one would be strange.
_LEAST_SPREAD: Final = 0.01
# A fault has a direction only if it moves the images alike: the length of the mean of unit vectors.
# Those of forty images that it does not move give 0.16.
_ONE_WAY: Final = 0.3
# A statistic varies at least this much: some, such as clipped pixels, are constant in a good
# laboratory, and a single such pixel must not make an image strange.
_LEAST_SCALE: Final = 0.02
# Classes with few images are drawn to the mean of all: this many images count against their own.
_PRIOR_IMAGES: Final = 10
# Added to the covariance of scaled statistics, so that it can be inverted for few images.
_RIDGE: Final = 0.02

_Floats = NDArray[np.float64]


class NoReferenceError(ModelError):
    """No reference can be fitted. The message is a reason without a full stop."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A reference, and the scores that the images have when each is judged by the others."""

    reference: Reference
    scores: _Floats


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The statistics of a laboratory: scale, means of the classes, whitening."""

    scale: _Floats
    class_means: _Floats
    whitening: _Floats

    def deviations(self, seen: Seen) -> _Floats:
        scaled = (seen.statistics - self.class_means[seen.predicted]) / self.scale
        return np.asarray(scaled @ self.whitening, np.float64)

    def distances(self, seen: Seen) -> _Floats:
        return np.asarray(np.log(np.linalg.norm(self.deviations(seen), axis=1) + 1e-6))


def fit_reference(
    home: Seen,
    others: Mapping[str, tuple[Seen, Seen]],
    faults: Sequence[tuple[str, Seen]],
    *,
    graph: str,
    class_count: int,
) -> Fitted:
    """Fit a reference.

    Args:
        home: what one graph saw in the laboratory's images, at least `LEAST_IMAGES`.
        others: by model file, what another graph and that one saw in the same images.
        faults: reasons, and what the graph saw in pictures with that fault.
        graph: the model file of the graph.

    Raises:
        NoReferenceError: the images are all alike.
    """
    pictures = _fit_pictures(home, class_count)
    space = _fit_space(home.features) if home.features is not None else None
    distances, residuals = _cross_fitted(home, class_count)
    mean, sd = _mean_and_sd(distances)
    if sd < _LEAST_SPREAD:
        raise NoReferenceError("the images are all alike")
    limits = GraphLimits(0.0, 1.0, 0.0)
    if residuals is not None:
        limits = GraphLimits(*_mean_and_sd(residuals), 0.0)
    scores = _scores((distances - mean) / sd, residuals, limits)
    limits = replace(limits, limit=_limit(scores))
    found = [(reason, _direction(pictures, seen)) for reason, seen in faults]
    directions = {n: one for n, (_, one) in enumerate(found) if one is not None}
    reference = Reference(
        images=len(home),
        scale=pictures.scale,
        class_means=pictures.class_means,
        whitening=pictures.whitening,
        distance_mean=mean,
        distance_sd=sd,
        class_distance=_by_class(distances, home.predicted, class_count),
        faults=tuple(found[number][0] for number in directions),
        fault_directions=np.array(list(directions.values())).reshape(-1, len(NAMES)),
        features=space,
        graphs={
            graph: limits,
            **{path: _moved(limits, space, *pair) for path, pair in others.items()},
        },
    )
    return Fitted(reference, scores)


def component_count(images: int, features: int) -> int:
    """Components of a feature space: fewer with few images, or where they would take too long."""
    for_bytes = int((_MOST_FEATURE_BYTES * 3 / 4 - 4 * features) / (2 * features))
    for_rest = -(-features // _FEATURES_PER_COMPONENT)
    return max(1, min(COMPONENTS, for_bytes, images // _IMAGES_PER_COMPONENT, for_rest))


def _fit_pictures(seen: Seen, class_count: int) -> _Pictures:
    values = seen.statistics.astype(np.float64)
    whole = values.mean(0)
    means = np.stack([_class_mean(values[seen.predicted == c], whole) for c in range(class_count)])
    rest = values - means[seen.predicted]
    scale = np.maximum(rest.std(0), _LEAST_SCALE)
    covariance = np.cov((rest / scale).T) + _RIDGE * np.eye(len(NAMES))
    return _Pictures(scale, means, np.linalg.cholesky(np.linalg.inv(covariance)))


def _class_mean(values: _Floats, whole: _Floats) -> _Floats:
    count = len(values)
    return np.asarray((values.sum(0) + _PRIOR_IMAGES * whole) / (count + _PRIOR_IMAGES))


def _fit_space(features: NDArray[np.float32]) -> FeatureSpace:
    mean = features.mean(0, dtype=np.float64).astype(np.float32)
    _, _, axes = np.linalg.svd(features - mean, full_matrices=False)
    count = component_count(*features.shape)
    # Rounded as in the artefact, so that the limits are those of the rounded numbers.
    return FeatureSpace(mean, axes[:count].astype(np.float16).astype(np.float32))


def _cross_fitted(home: Seen, class_count: int) -> tuple[_Floats, _Floats | None]:
    """Distances of the statistics and residuals of the features, each from a fit without it."""
    fold = np.random.default_rng(0).permutation(len(home)) % _FOLDS
    distances = np.empty(len(home))
    residuals = None if home.features is None else np.empty(len(home))
    for number in range(_FOLDS):
        rest, part = home.at(fold != number), home.at(fold == number)
        distances[fold == number] = _fit_pictures(rest, class_count).distances(part)
        if residuals is not None and rest.features is not None and part.features is not None:
            residuals[fold == number] = _residuals(_fit_space(rest.features), part.features)
    return distances, residuals


def _residuals(space: FeatureSpace, features: NDArray[np.float32]) -> _Floats:
    return np.array([space.residual(row) for row in features])


def _scores(picture: _Floats, residuals: _Floats | None, limits: GraphLimits) -> _Floats:
    if residuals is None:
        return picture
    standard = (residuals - limits.residual_mean) / limits.residual_sd
    return np.array([joined(a, b) for a, b in zip(picture, standard, strict=True)])


def _limit(scores: _Floats) -> float:
    """The score that one in a hundred images of the laboratory exceeds."""
    middle, upper, most = np.quantile(scores, (0.5, 0.75, _IN_LABORATORY))
    return float(min(most, middle + _MOST_BEYOND * (upper - middle) / _QUARTILE))


def _moved(limits: GraphLimits, space: FeatureSpace | None, other: Seen, same: Seen) -> GraphLimits:
    """The limits of another graph: those of the first, moved as its residuals differ."""
    if space is None or other.features is None or same.features is None:
        return limits
    mean, sd = _mean_and_sd(_residuals(space, other.features))
    first_mean, first_sd = _mean_and_sd(_residuals(space, same.features))
    moved_mean = limits.residual_mean + mean - first_mean
    return replace(limits, residual_mean=moved_mean, residual_sd=limits.residual_sd * sd / first_sd)


def _by_class(
    distances: _Floats, predicted: NDArray[np.int64], class_count: int
) -> tuple[tuple[float, float], ...]:
    """Mean and standard deviation of each class, drawn to those of all images."""
    mean, sd = _mean_and_sd(distances)
    found = []
    for one in range(class_count):
        own = distances[predicted == one]
        weight = len(own) + _PRIOR_IMAGES
        own_mean = (own.sum() + _PRIOR_IMAGES * mean) / weight
        variance = (((own - own_mean) ** 2).sum() + _PRIOR_IMAGES * sd**2) / weight
        found.append((float(own_mean), float(np.sqrt(variance))))
    return tuple(found)


def _mean_and_sd(values: _Floats) -> tuple[float, float]:
    # The lower limit is for laboratories whose images are all alike, such as drawn ones.
    return float(values.mean()), max(float(values.std()), 1e-3)


def _direction(pictures: _Pictures, seen: Seen) -> _Floats | None:
    """The mean direction in which a fault moves images, as a unit vector; None if it has none.

    A hue that is turned changes nothing in grey images, and darkness nothing in black ones.
    """
    deviations = pictures.deviations(seen)
    lengths = np.linalg.norm(deviations, axis=1, keepdims=True)
    mean = (deviations / np.maximum(lengths, 1e-9)).mean(0)
    length = float(np.linalg.norm(mean))
    return np.asarray(mean / length) if length >= _ONE_WAY else None
