"""When requests arrive in an open loop, decided before the first of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SEED: Final = 11


def constant(per_second: float, seconds: float) -> NDArray[np.int64]:
    """Arrivals at even intervals, in nanoseconds from the first; at least one."""
    count = max(1, round(per_second * seconds))
    return (np.arange(count, dtype=np.int64) * 1e9 / per_second).round().astype(np.int64)


def poisson(per_second: float, seconds: float, seed: int = SEED) -> NDArray[np.int64]:
    """Arrivals that know nothing of each other: exponential intervals of that mean rate.

    As many as in an even schedule of the same length, so that two runs have equal counts.
    """
    count = max(1, round(per_second * seconds))
    gaps_ns = np.random.default_rng(seed).exponential(1e9 / per_second, count)
    gaps_ns[0] = 0
    return np.rint(np.cumsum(gaps_ns)).astype(np.int64)


def at_once(count: int) -> NDArray[np.int64]:
    """All of them at the same moment."""
    return np.zeros(count, np.int64)
