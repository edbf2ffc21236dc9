"""By how many percent a figure changed from one series to another, with an interval."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.bench.statistics.blocks import block_labels, blocks_of
from edge.bench.statistics.bootstrap import FEWEST_BLOCKS, interval
from edge.bench.statistics.percentiles import (
    CONFIDENCE,
    Estimate,
    Figure,
    Refused,
    percentile_of,
    samples_needed,
)
from edge.bench.statistics.series import Series
from edge.text.counted import counted

_DRAWS: Final = 2_000
# Two measurements are independent of each other, so each has its own draws.
_SEEDS: Final = (16, 61)
_STRETCHES: Final = 200


def change_of_percentile(before: Series, after: Series, percent: float) -> Figure:
    """Percent by which a latency percentile is longer; below 0 it is shorter.

    The interval draws whole blocks of both series, because neighbouring durations resemble each
    other; that of independent samples would be too narrow.
    """
    needed = samples_needed(percent)
    fewest = min(len(before.durations_ns), len(after.durations_ns))
    if fewest < needed:
        return Refused(f"p{percent:g} needs {counted(needed, 'sample')}; there are {fewest:,}")
    values = [percentile_of(one, percent) for one in (before, after)]
    old, new = (value.value for value in values if isinstance(value, Estimate))
    labels = [block_labels(one) for one in (before, after)]
    blocks = min(int(one.max()) + 1 for one in labels)
    if refused := _too_few(blocks) or _too_short(old, new):
        return refused
    drawn = [
        drawn_percentiles(one.durations_ns, label, percent / 100, seed)
        for one, label, seed in zip((before, after), labels, _SEEDS, strict=True)
    ]
    return _change(old, new, drawn, blocks)


def change_of_rate(before: Series, after: Series) -> Figure:
    """Percent by which images per second are more; below 0 they are fewer."""
    rates = [blocks_of(one).images_per_second for one in (before, after)]
    blocks = min(len(one) for one in rates)
    old, new = (float(np.median(one)) for one in rates)
    if refused := _too_few(blocks) or _too_short(old, new):
        return refused
    drawn = [_drawn_medians(one, seed) for one, seed in zip(rates, _SEEDS, strict=True)]
    return _change(old, new, drawn, blocks)


def _change(old: float, new: float, drawn: list[NDArray[np.float64]], blocks: int) -> Figure:
    if (drawn[0] <= 0).any():
        return Refused("a part of the durations is 0: the clock does not measure so short a time")
    value = 100 * (new / old - 1)
    low, high = interval(100 * (drawn[1] / drawn[0] - 1), blocks, CONFIDENCE)
    return Estimate(value, min(low, value), max(high, value))


def _too_few(blocks: int) -> Refused | None:
    if blocks >= FEWEST_BLOCKS:
        return None
    return Refused(f"a change needs {FEWEST_BLOCKS} turns or 30 samples in both measurements")


def _too_short(old: float, new: float) -> Refused | None:
    if old > 0 and new > 0:
        return None
    return Refused("a figure is 0 or less: the clock does not measure so short a time")


def drawn_percentiles(
    durations_ns: NDArray[np.int64], labels: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.float64]:
    """The percentile of each draw of blocks: samples in order, weighted by how often drawn.

    Args:
        durations_ns: all samples.
        labels: the block of each, numbered from 0.
        share: the percentile as a share, such as 0.99.
        seed: of the draws.
    """
    order = np.argsort(durations_ns, kind="stable")
    ordered, of_block = durations_ns[order], labels[order]
    blocks = int(labels.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), _DRAWS)
    # First the stretch of the ordered samples in which each draw's percentile lies: the samples of
    # each block up to the stretches' ends, weighted by the draws.
    ends = np.minimum(np.arange(1, _STRETCHES + 1) * -(-len(ordered) // _STRETCHES), len(ordered))
    held = np.stack([np.searchsorted(np.flatnonzero(of_block == b), ends) for b in range(blocks)])
    reached = drawn @ held
    rank = np.ceil(share * reached[:, -1])
    stretch = np.argmax(reached >= rank[:, np.newaxis], axis=1)
    # Then the sample itself.
    found = np.empty(_DRAWS)
    for number in np.unique(stretch):
        here = stretch == number
        first, last = (int(ends[number - 1]) if number else 0), int(ends[number])
        before = reached[here, number - 1] if number else 0
        within = np.cumsum(drawn[here][:, of_block[first:last]], axis=1)
        place = np.argmax(within >= (rank[here] - before)[:, np.newaxis], axis=1)
        found[here] = ordered[first + place]
    return found


def _drawn_medians(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    count = len(values)
    drawn = np.random.default_rng(seed).integers(0, count, (_DRAWS, count), np.int32)
    medians: NDArray[np.float64] = np.median(values[drawn], axis=1)
    return medians
