"""Cuts a series into blocks that lie after one another, so that what changes with time shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.bench.statistics.series import Nanoseconds, Series

# A series of few turns is cut into this many blocks, of at least so many samples.
_BLOCKS: Final = 20
_SAMPLES: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Medians in nanoseconds and images per second of the blocks, in the order of time."""

    numbers: NDArray[np.int64]
    medians_ns: NDArray[np.float64]
    images_per_second: NDArray[np.float64]


def blocks_of(series: Series) -> Blocks:
    """The turns of a series; where there are few, runs of neighbouring samples instead.

    Durations that follow one another resemble each other, because a disturbance lasts. So whatever
    needs independent values takes blocks and not samples.
    """
    return _blocks(series, block_labels(series))


def turns_of(series: Series) -> Blocks:
    """The turns of a series, however few."""
    return _blocks(series, series.turns)


def block_labels(series: Series) -> Nanoseconds:
    """The block of each sample.

    A burst stays whole: its images wait for each other, so the last always take longest.
    """
    count = len(series.durations_ns)
    wanted = min(_BLOCKS, count // _SAMPLES)
    if series.mode == "burst" or len(np.unique(series.turns)) >= wanted:
        return series.turns
    labels = np.empty(count, np.int64)
    labels[np.argsort(series.starts_ns, kind="stable")] = np.arange(count) * wanted // count
    return labels


def _blocks(series: Series, labels: Nanoseconds) -> Blocks:
    order = np.argsort(labels, kind="stable")
    numbers, firsts = np.unique(labels[order], return_index=True)
    members = np.split(order, firsts[1:])
    medians = [float(np.median(series.durations_ns[member])) for member in members]
    rates = [_images_per_second(series, member) for member in members]
    return Blocks(numbers, np.asarray(medians), np.asarray(rates))


def _images_per_second(series: Series, member: Nanoseconds) -> float:
    starts_ns = series.starts_ns[member]
    ends_ns = starts_ns + series.durations_ns[member]
    # At least a nanosecond: a clock that went back must not divide by zero.
    span_ns = max(1, int(ends_ns.max() - starts_ns.min()))
    return len(starts_ns) * series.images_per_call / span_ns * 1e9
