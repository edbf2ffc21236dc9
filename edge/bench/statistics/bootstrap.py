"""Intervals by drawing blocks again, for figures whose distribution has no formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

# With six blocks the range from least to greatest holds the median with 97 %; with five only
# with 94 %.
FEWEST_BLOCKS: Final = 6
DRAWS: Final = 2_000
_VALUES_AT_ONCE: Final = 1_000_000
# The same samples give the same interval on every machine.
_SEED: Final = 16
Values: TypeAlias = NDArray[np.float64]


def interval_of_median(values: Values, confidence: float) -> tuple[float, float, float]:
    """Low, median and high of values of which each is an independent measurement."""
    drawn = drawn_blocks(len(values))
    # A part of the draws at a time: all of them would take 16 bytes for each of their values.
    parts = np.array_split(drawn, math.ceil(drawn.size / _VALUES_AT_ONCE))
    medians = np.concatenate([np.median(values[part], axis=1) for part in parts])
    low, high = interval(medians, len(values), confidence)
    return low, float(np.median(values)), high


def interval_of(
    statistic: Callable[[NDArray[np.int32]], float], count: int, confidence: float, draws: int
) -> tuple[float, float]:
    """The interval of a statistic that is computed from the numbers of the drawn blocks."""
    found = [statistic(drawn) for drawn in drawn_blocks(count, draws)]
    return interval(np.asarray(found), count, confidence)


def drawn_blocks(count: int, draws: int = DRAWS) -> NDArray[np.int32]:
    """Shape (draws, count): numbers of blocks, drawn with replacement."""
    return np.random.default_rng(_SEED).integers(0, count, (draws, count), np.int32)


def interval(found: Values, count: int, confidence: float) -> tuple[float, float]:
    """The middle share of what the draws gave, widened because blocks are few.

    Plain percentiles of a bootstrap are too narrow for few blocks, by the factors that separate
    a normal from a Student distribution (Hesterberg, What Teachers Should Know about the
    Bootstrap, 2015, section 5.3: expanded percentiles).
    """
    reach = math.sqrt(count / (count - 1)) * student_quantile((1 + confidence) / 2, count - 1)
    tail = 100 * NormalDist().cdf(-reach)
    low, high = np.percentile(found, [tail, 100 - tail])
    return float(low), float(high)


def student_quantile(share: float, freedom: int) -> float:
    """A quantile of Student's distribution, within 1 % from 4 degrees of freedom on.

    By the expansion of Cornish and Fisher (Abramowitz and Stegun, formula 26.7.5).
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    corrections = (term / float(freedom) ** power for power, term in enumerate(terms, start=1))
    return z + sum(corrections)
