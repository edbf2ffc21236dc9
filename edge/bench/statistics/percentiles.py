"""Percentiles and images per second, each with an interval, or refused where samples are few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.bench.statistics.blocks import block_labels, blocks_of
from edge.bench.statistics.bootstrap import FEWEST_BLOCKS, interval_of_median
from edge.bench.statistics.series import Nanoseconds, Series
from edge.text.counted import counted

CONFIDENCE: Final = 0.95
# A percentile is given once a sample lies beyond it with this probability. By this rule p99 needs
# 459 samples and p99.9 needs 4,603.
_BEYOND: Final = 0.99
# The 97.5 % point of the normal distribution.
_NORMAL: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the interval that holds the true one with this confidence."""

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Refused:
    """No figure, and the reason in a line."""

    why: str


Figure: TypeAlias = Estimate | Refused


def samples_needed(percent: float) -> int:
    """The fewest samples for a percentile: the smallest n with 1 - p^n >= 0.99.

    Below the median the other side decides, where 1 - p takes the place of p.

    Raises:
        ValueError: the percentile does not lie between 0 and 100.
    """
    if not 0 < percent < 100:
        raise ValueError(f"percentile {percent} is not between 0 and 100.")
    share = max(percent, 100 - percent) / 100
    return math.ceil(math.log(1 - _BEYOND) / math.log(share))


def percentile_of(series: Series, percent: float) -> Figure:
    """A percentile of a series, as `percentile`, with its blocks."""
    return percentile(series.durations_ns, percent, block_labels(series))


def percentile(
    durations_ns: Nanoseconds, percent: float, blocks: NDArray[np.int64] | None = None
) -> Figure:
    """A percentile in milliseconds, with an interval that holds for every distribution.

    The interval is from one sample to another, of ranks that a binomial distribution gives: the
    number of samples below the true percentile has one, whatever the durations look like
    (David and Nagaraja, Order Statistics, 2003, chapter 7.1).

    Args:
        durations_ns: in the order of time.
        percent: between 0 and 100.
        blocks: the block of each sample. Samples of a block may resemble each other, and so say
            less than as many independent ones: the interval is as much wider as the shares of
            samples below the percentile differ more from block to block than chance lets them
            (the design effect of cluster samples: Kish, Survey Sampling, 1965, chapter 5). None:
            samples are taken as independent.
    """
    needed = samples_needed(percent)
    count = len(durations_ns)
    if count < needed:
        return Refused(
            f"p{percent:g} needs {counted(needed, 'sample')}; there are {count:,}. "
            "Measure for longer."
        )
    ordered = np.sort(durations_ns)
    value = float(np.percentile(ordered, percent))
    low, high = _ranks(count, percent / 100)
    if blocks is not None:
        middle = count * percent / 100
        wider = math.sqrt(_design_effect(durations_ns <= value, blocks))
        low = max(1, math.floor(middle - (middle - low) * wider))
        high = min(count, math.ceil(middle + (high - middle) * wider))
    return Estimate(value / 1e6, float(ordered[low - 1]) / 1e6, float(ordered[high - 1]) / 1e6)


def images_per_second(series: Series) -> Figure:
    """Images divided by the wall time of the series; its interval is from turn to turn."""
    rates = blocks_of(series).images_per_second
    if len(rates) < FEWEST_BLOCKS:
        return Refused(
            f"images per second need {FEWEST_BLOCKS} turns or {5 * FEWEST_BLOCKS} calls; there are "
            f"{len(np.unique(series.turns))} and {len(series.durations_ns)}. Measure for longer."
        )
    images = len(series.durations_ns) * series.images_per_call
    value = images / max(1, series.window_ns) * 1e9
    # The window also has what lies between the calls; the interval keeps its width in percent.
    low, middle, high = interval_of_median(rates, CONFIDENCE)
    return Estimate(value, min(value, value * low / middle), max(value, value * high / middle))


def _design_effect(is_below: NDArray[np.bool_], blocks: NDArray[np.int64]) -> float:
    """The variance of a share divided by that of independent samples; at least 1."""
    sizes = np.bincount(blocks)
    found, share = len(sizes), float(is_below.mean())
    if found < FEWEST_BLOCKS or not 0 < share < 1:
        return 1.0
    rest = np.bincount(blocks, weights=is_below) - sizes * share
    variance = float((rest**2).sum()) / (len(is_below) * (1 - 1 / found))
    # The variance is itself from few blocks, for which Student's distribution allows.
    return max(1.0, variance / (share * (1 - share)) * (_student(found - 1) / _NORMAL) ** 2)


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's distribution, to 1 % from 5 degrees of freedom on.

    By the expansion of Cornish and Fisher (Abramowitz and Stegun, 26.7.5).
    """
    z = _NORMAL
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


@lru_cache(maxsize=256)
def _ranks(count: int, share: float) -> tuple[int, int]:
    """Ranks, from 1, of the samples between which the percentile lies with 95 % or more."""
    numbers = np.arange(count + 1)
    # Logarithms of the binomial probabilities, from each to the next; their sum is 1.
    steps = np.log((count - numbers[:-1]) / numbers[1:]) + math.log(share / (1 - share))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    below = np.cumsum(weights) / weights.sum()
    tail = (1 - CONFIDENCE) / 2
    # P(fewer than `low` samples lie below) <= tail, P(`high` or more lie below) <= tail.
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return max(1, low), min(count, high)
