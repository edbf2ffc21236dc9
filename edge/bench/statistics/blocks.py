"""Cuts a series into blocks that lie after one another, so that what changes with time shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.bench.statistics.series import Nanoseconds, Series

# At most so many blocks, of at least so many samples. More samples make blocks longer, so that
# their medians scatter less by chance and what is left is the machine's.
_MOST: Final = 20
_SAMPLES: Final = 5
# Turns of fewer samples, such as one run over all images, are blocks while they are few.
_FEW: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Medians in nanoseconds and images per second of the blocks, in the order of time."""

    numbers: NDArray[np.int64]
    medians_ns: NDArray[np.float64]
    images_per_second: NDArray[np.float64]


def blocks_of(series: Series) -> Blocks:
    """Runs of neighbouring turns; where there are few turns, of neighbouring samples.

    Durations that follow one another resemble each other, because a disturbance lasts. So whatever
    needs independent values takes blocks and not samples.
    """
    return _blocks(series, block_labels(series))


def turns_of(series: Series) -> Blocks:
    """The turns of a series, however few or many."""
    return _blocks(series, series.turns)


def block_labels(series: Series) -> Nanoseconds:
    """The block of each sample, numbered from 0 in the order of time.

    A burst stays whole: its images wait for each other, so the last always take longest.
    """
    count = len(series.durations_ns)
    _, turns = np.unique(series.turns, return_inverse=True)
    found = int(turns.max()) + 1
    wanted = min(_MOST, max(count // _SAMPLES, min(found, _FEW)))
    if series.mode == "burst" or found >= wanted:
        merged: Nanoseconds = turns * min(wanted, found) // found
        return merged
    labels = np.empty(count, np.int64)
    labels[np.argsort(series.starts_ns, kind="stable")] = np.arange(count) * wanted // count
    return labels


def _blocks(series: Series, labels: Nanoseconds) -> Blocks:
    order = np.argsort(labels, kind="stable")
    numbers, firsts = np.unique(labels[order], return_index=True)
    members = np.split(order, firsts[1:])
    medians = [float(np.median(series.durations_ns[member])) for member in members]
    counts = np.array([len(member) for member in members])
    rates = counts * series.images_per_call / _spans_ns(series, labels) * 1e9
    return Blocks(numbers, np.asarray(medians), rates)


def _spans_ns(series: Series, labels: Nanoseconds) -> NDArray[np.float64]:
    """The time of each block in which this series was measured, without others' turns between."""
    pieces, piece = np.unique(np.stack([labels, series.turns], axis=1), axis=0, return_inverse=True)
    piece = piece.reshape(-1)
    ends_ns = series.starts_ns + series.durations_ns
    firsts, lasts = np.full(len(pieces), ends_ns.max()), np.full(len(pieces), ends_ns.min())
    np.minimum.at(firsts, piece, series.starts_ns)
    np.maximum.at(lasts, piece, ends_ns)
    # At least a nanosecond: a clock that went back must not divide by zero.
    spans = np.maximum(1, lasts - firsts).astype(np.float64)
    _, block = np.unique(pieces[:, 0], return_inverse=True)
    return np.bincount(block, weights=spans).astype(np.float64)
