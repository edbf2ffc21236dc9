"""How many times one series is of another, from the turns in which both were measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

from edge.bench.statistics.blocks import turns_of
from edge.bench.statistics.bootstrap import FEWEST_BLOCKS, interval_of_median
from edge.bench.statistics.percentiles import CONFIDENCE, Estimate, Figure, Refused
from edge.bench.statistics.series import Series

What: TypeAlias = Literal["median latency", "images per second"]
MEDIAN: Final = "median latency"
RATE: Final = "images per second"


def ratio(
    numerator: Series, denominator: Series, *, reasons: Sequence[str], what: What = MEDIAN
) -> Figure:
    """The median of the turns' ratios, with a bootstrap interval over the turns.

    In a turn both are measured within a moment, so what slows the whole machine for longer than a
    turn cancels.

    Args:
        reasons: why either series is unstable; empty if both are stable.
        what: medians of the latencies, or images per second, of each turn.
    """
    if reasons:
        return Refused(f"unstable: {'; '.join(dict.fromkeys(reasons))}")
    above, below = turns_of(numerator), turns_of(denominator)
    _, of, to = np.intersect1d(above.numbers, below.numbers, return_indices=True)
    if len(of) < FEWEST_BLOCKS:
        return Refused(
            f"a ratio needs {FEWEST_BLOCKS} turns that both have; there are {len(of)}. "
            "Measure for longer."
        )
    if what == MEDIAN:
        tops, bottoms = above.medians_ns[of], below.medians_ns[to]
    else:
        tops, bottoms = above.images_per_second[of], below.images_per_second[to]
    if (bottoms <= 0).any() or (tops <= 0).any():
        return Refused("a turn took no time by the clock; its durations are too short for it.")
    low, value, high = interval_of_median(tops / bottoms, CONFIDENCE)
    return Estimate(value, low, high)
