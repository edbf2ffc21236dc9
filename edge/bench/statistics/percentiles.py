"""Percentiles and images per second, each with an interval, or refused where samples are few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from edge.bench.statistics.blocks import blocks_of
from edge.bench.statistics.bootstrap import FEWEST_BLOCKS, interval_of_median
from edge.bench.statistics.series import Nanoseconds, Series
from edge.text.counted import counted

CONFIDENCE: Final = 0.95
# A percentile is given once a sample lies beyond it with this probability. By this rule p99 needs
# 459 samples and p99.9 needs 4,603.
_BEYOND: Final = 0.99


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


def percentile(durations_ns: Nanoseconds, percent: float) -> Figure:
    """A percentile in milliseconds, with an interval that holds for every distribution.

    The interval is from one sample to another, of ranks that a binomial distribution gives: the
    number of samples below the true percentile has one, whatever the durations look like
    (David and Nagaraja, Order Statistics, 2003, chapter 7.1). Samples are taken as independent.
    """
    needed = samples_needed(percent)
    count = len(durations_ns)
    if count < needed:
        return Refused(
            f"p{percent:g} needs {counted(needed, 'sample')}; there are {count:,}. "
            "Measure for longer."
        )
    ordered = np.sort(durations_ns)
    low, high = _ranks(count, percent / 100)
    value = float(np.percentile(ordered, percent))
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
