"""Histograms of activations that grow with the data and do not depend on its order.

Bins are a power of two wide and start at multiples of their width. When a value falls outside,
neighbouring bins are merged until it fits. Merging counts is exact, so the final histogram is a
function of the set of values alone: bit-identical for any order and any batch size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

# 2,048 bins on each side of zero: 16 per step of a symmetric 8-bit quantizer.
HALF_BINS: Final = 2048
# The narrowest start, far below any activation that matters.
_MIN_EXPONENT: Final = -30


@dataclass(slots=True)
class Histogram:
    """Counts of values in [-limit, limit), where limit is 2 ** exponent.

    `low` and `high` are the smallest and the largest value.
    """

    exponent: int = _MIN_EXPONENT
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(2 * HALF_BINS, dtype=np.int64)
    )
    low: float = np.inf
    high: float = -np.inf

    @property
    def width(self) -> float:
        """The width of one bin."""
        return float(2.0**self.exponent / HALF_BINS)

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin (bins,)."""
        return np.asarray((np.arange(2 * HALF_BINS) - HALF_BINS + 0.5) * self.width, np.float64)

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    def add(self, values: NDArray[np.float32]) -> None:
        """Count finite values of any shape.

        Raises:
            ValueError: a value is not finite.
        """
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ValueError("an activation is not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(low, high)
        # Division by a power of two is exact, so a value's bin does not depend on earlier values.
        bins = np.floor(values.ravel() / np.float32(self.width)).astype(np.int64) + HALF_BINS
        self.counts += np.bincount(bins, minlength=2 * HALF_BINS)

    def _widen(self, low: float, high: float) -> None:
        while not (-(2.0**self.exponent) <= low and high < 2.0**self.exponent):
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros_like(self.counts)
            self.counts[HALF_BINS // 2 : HALF_BINS // 2 + HALF_BINS] = merged
            self.exponent += 1
