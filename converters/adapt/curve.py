"""The learning curve: accuracy by the number of images of a class, and what more would bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.adapt.choice import FOLDS, folds_of, some_of_each
from converters.adapt.head import Floats, Head, Labels, Recipe, fit_views
from edge.text.progress import OnCount

SIZES: Final = (5, 10, 20, 40, 80, 160, 320)
MORE: Final = 40
# Each repeat draws other images of each size, and other folds.
_REPEATS: Final = 4
_RESAMPLES: Final = 1000
# Errors fall at most with 1 / images: what is steeper is chance.
_STEEPEST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """Mean accuracy, from 0 to 1, with so many images of every class, and its spread (sd)."""

    of_class: int
    accuracy: float
    spread: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """What `MORE` images of a class are expected to add to the balanced accuracy.

    Points of percent, with the interval that covers 90 % of the resampled curves.
    """

    name: str
    points: float
    low: float
    high: float

    def text(self) -> str:
        """One line for a person."""
        return (
            f"with {MORE} more of {self.name}, accuracy is expected to rise by about "
            f"{self.points:.1f} points ({self.low:.1f} to {self.high:.1f})"
        )


@dataclass(frozen=True, slots=True)
class Curve:
    """The points, by size, and the expectation for the class where more images bring most."""

    points: tuple[Point, ...]
    expectation: Expectation | None

    def to_dict(self) -> dict[str, Any]:
        """JSON types, for the evidence."""
        return {
            "points": [
                {
                    "images_of_class": point.of_class,
                    "accuracy": round(point.accuracy, 4),
                    "spread": round(point.spread, 4),
                }
                for point in self.points
            ],
            "expected": None if self.expectation is None else self.expectation.text(),
        }


def learning_curve(
    features: NDArray[np.float32],
    labels: Labels,
    parent: Head,
    recipe: Recipe,
    classes: tuple[str, ...],
    on_count: OnCount,
) -> Curve:
    """Fit heads with few to many images of each class, and try them on those left out.

    Accuracies are balanced: the mean over the classes.

    Args:
        features: shape (images, views, count).
    """
    present = np.unique(labels)
    most = int(np.bincount(labels)[present].max()) * (FOLDS - 1) // FOLDS
    sizes = sorted({min(size, most) for size in SIZES})
    recall = np.full((len(sizes), _REPEATS * FOLDS, len(present)), np.nan)
    for run in range(_REPEATS * FOLDS):
        repeat, fold = divmod(run, FOLDS)
        out = folds_of(labels, seed=repeat) == fold
        rest = np.flatnonzero(~out)
        for position, size in enumerate(sizes):
            chosen = rest[some_of_each(labels[rest], size, seed=run)]
            head = fit_views(features[chosen], labels[chosen], parent, recipe)
            right = head.logits(features[out, 0]).argmax(1) == labels[out]
            for column, label in enumerate(present):
                of_class = labels[out] == label
                recall[position, run, column] = right[of_class].mean() if of_class.any() else np.nan
        on_count(run + 1, _REPEATS * FOLDS)
    accuracy = np.nanmean(recall, axis=2)
    points = tuple(
        Point(size, float(row.mean()), float(row.std()))
        for size, row in zip(sizes, accuracy, strict=True)
    )
    counts = np.bincount(labels)[present]
    expected = _expectations(sizes, 1 - recall, counts, [classes[label] for label in present])
    return Curve(points, max(expected, key=lambda one: one.points, default=None))


def _expectations(
    sizes: list[int], errors: Floats, counts: NDArray[np.int64], names: list[str]
) -> list[Expectation]:
    """For each class, from a power law of its errors; none from fewer than three sizes."""
    if len(sizes) < 3:
        return []
    random = np.random.default_rng(0)
    drawn = random.integers(0, errors.shape[1], (_RESAMPLES, errors.shape[1]))
    found = []
    for column, (name, count) in enumerate(zip(names, counts, strict=True)):
        gains = [
            _gain(sizes, np.nanmean(errors[:, runs, column], axis=1), int(count)) / len(names)
            for runs in drawn
        ]
        central = _gain(sizes, np.nanmean(errors[:, :, column], axis=1), int(count)) / len(names)
        low, high = np.percentile(gains, [5, 95])
        found.append(Expectation(name, 100 * central, 100 * float(low), 100 * float(high)))
    return found


def _gain(sizes: list[int], errors: Floats, count: int) -> float:
    """By how much the error falls from `count` images to `MORE` above it.

    The error is taken as a * images ** -b, fitted to its logarithms.
    """
    logs = np.log(np.asarray(sizes, np.float64))
    heights = np.log(np.maximum(errors, 0.5 / 1000))
    slope, height = np.polyfit(logs, heights, 1)
    power = float(np.clip(-slope, 0.0, _STEEPEST))
    now = float(np.exp(height + slope * np.log(count)))
    return float(max(0.0, min(now, 1.0) * (1 - (count / (count + MORE)) ** power)))
