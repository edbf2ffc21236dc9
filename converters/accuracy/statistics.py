"""Statistics on how two classifiers differ on the same images, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.postprocess import softmax

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

RESAMPLES: Final = 1000
# A fixed seed: the same images give the same intervals.
_SEED: Final = 12345
CALIBRATION_BINS: Final = 10
# Bounds the memory to some tens of MB for any number of images.
_RESAMPLED_AT_ONCE: Final = 1_000_000
_SMALLEST_PROBABILITY: Final = 1e-12
# Half the width of a normal distribution's 95 % interval, in standard deviations.
_NORMAL_95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """JSON types, rounded to six digits."""
        return {k: round(v, 6) for k, v in zip(("value", "low", "high"), self, strict=True)}

    def __iter__(self) -> Any:
        return iter((self.value, self.low, self.high))


def divergence(reference: NDArray[np.float32], other: NDArray[np.float32]) -> Floats:
    """Kullback-Leibler divergence of each image's probabilities, in nats, from logits (n, c)."""
    p = np.maximum(softmax(reference), _SMALLEST_PROBABILITY)
    q = np.maximum(softmax(other), _SMALLEST_PROBABILITY)
    return np.asarray((p * np.log(p / q)).sum(axis=1), np.float64)


def mean_over_classes(values: Floats, classes: Indices) -> float:
    """Mean of the classes' means, in which rare and frequent classes have the same weight.

    Args:
        values: one per image (n,).
        classes: one per image (n,).
    """
    return float(np.mean([values[classes == label].mean() for label in np.unique(classes)]))


def balanced_accuracy(labels: Indices, right: NDArray[np.bool_]) -> Floats:
    """Mean recall over the classes that have images, for each row (..., n)."""
    recalls = []
    for label in np.unique(labels):
        is_class = labels == label
        count = is_class.sum(axis=-1)
        hits = (right & is_class).sum(axis=-1)
        recalls.append(np.where(count, hits / np.maximum(count, 1), np.nan))
    return np.asarray(np.nanmean(recalls, axis=0), np.float64)


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> Floats:
    """Expected calibration error of each row (..., n), over bins of equal size.

    The mean distance between how sure a model is and how often it is right (Nixon et al. 2019).
    """
    order = np.argsort(confidence, axis=-1, kind="stable")
    surplus = np.take_along_axis(confidence - right, order, axis=-1)
    count = surplus.shape[-1]
    sizes = [len(part) for part in np.array_split(np.arange(count), min(CALIBRATION_BINS, count))]
    starts = np.cumsum([0, *sizes[:-1]])
    gaps = np.abs(np.add.reduceat(surplus, starts, axis=-1))
    return np.asarray(gaps.sum(axis=-1) / count, np.float64)


def bootstrap(count: int, statistic: Callable[[Indices], Floats]) -> Estimate:
    """`statistic` of all images, with its bootstrap interval (resampling with replacement).

    Args:
        count: number of images.
        statistic: maps rows of image positions (rows, count) to one value per row.
    """
    rng = np.random.default_rng(_SEED)
    rows = max(1, _RESAMPLED_AT_ONCE // count)
    sizes = [min(rows, RESAMPLES - done) for done in range(0, RESAMPLES, rows)]
    values = np.concatenate([statistic(rng.integers(0, count, (n, count))) for n in sizes])
    low, high = np.percentile(values, [2.5, 97.5])
    (value,) = statistic(np.arange(count)[np.newaxis])
    return Estimate(float(value), float(low), float(high))


def bootstrap_mean(values: Floats) -> Estimate:
    """The mean with its bootstrap interval; computes all resamples at once."""
    rng = np.random.default_rng(_SEED)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that both classifiers are right equally often.

    Args:
        only_first: images that only the first classifier got right.
        only_second: images that only the second one did.
    """
    more, fewer = max(only_first, only_second), min(only_first, only_second)
    return min(1.0, 2 * chance_of_loss(more, fewer))


def chance_of_loss(lost: int, gained: int) -> float:
    """One-sided exact p-value of McNemar's test that equal classifiers differ by so much or more.

    Args:
        lost: images that only the first classifier got right.
        gained: images that only the second one did.
    """
    total = lost + gained
    return float(sum(comb(total, k) for k in range(lost, total + 1)) / 2**total)


def paired_drop_interval(lost: int, gained: int, count: int) -> tuple[float, float]:
    """95 % interval of the percentage points lost on `count` images.

    The adjusted Wald interval for paired proportions (Bonett and Price, Journal of Educational and
    Behavioral Statistics 37:479, 2012). A bootstrap interval would have no width if both models
    agree on all images.
    """
    total = count + 2
    share_lost, share_gained = (lost + 1) / total, (gained + 1) / total
    drop = share_lost - share_gained
    half = _NORMAL_95 * sqrt((share_lost + share_gained - drop**2) / total)
    return 100 * (drop - half), 100 * (drop + half)


def confusion(labels: Indices, predicted: Indices, class_count: int) -> list[list[int]]:
    """Counts with a row per true class and a column per predicted class."""
    table = np.zeros((class_count, class_count), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    return [[int(n) for n in row] for row in table]
