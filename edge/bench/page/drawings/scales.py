"""Maps values to places in a drawing, evenly or by their logarithm, and finds round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Tails beyond this many times the lowest median get a logarithmic axis.
_LOGARITHMIC_FROM = 5.0
# The smallest value of a logarithmic axis, a nanosecond in milliseconds.
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from value `low` at place `start` to value `high` at place `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, values: ArrayLike) -> NDArray[np.float64]:
        """Places of values; what lies outside goes to the nearer end."""
        given = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.is_log:
            given = np.log10(np.maximum(given, _SMALLEST))
            low, high = math.log10(low), math.log10(high)
        shares = np.clip((given - low) / (high - low), 0.0, 1.0)
        places: NDArray[np.float64] = self.start + shares * (self.end - self.start)
        return places

    def place(self, value: float) -> float:
        """The place of one value."""
        return float(self.at([value])[0])

    def edges(self, count: int) -> NDArray[np.float64]:
        """The values between which `count` equally wide parts of the axis lie."""
        if self.is_log:
            return np.geomspace(self.low, self.high, count + 1)
        return np.linspace(self.low, self.high, count + 1)

    def ticks(self) -> list[float]:
        """Round values on the axis, between three and about eight."""
        return _log_ticks(self.low, self.high) if self.is_log else ticks(self.low, self.high)


def latency_scale(lowest_median: float, low: float, high: float, start: float, end: float) -> Scale:
    """An axis of latencies: logarithmic where the tail would squeeze the rest, else even."""
    # A clock that went back gives durations below 0; they stand at the axis's end.
    low, high = max(low, 0.0), max(high, 0.0)
    if high > _LOGARITHMIC_FROM * max(lowest_median, _SMALLEST):
        low = max(low, _SMALLEST) * 0.95
        return Scale(low, max(high * 1.05, low * 2), start, end, is_log=True)
    margin = 0.04 * (high - low) or 0.5 * (high or 1.0)
    return Scale(max(0.0, low - margin), high + margin, start, end)


def scale_from_zero(high: float, start: float, end: float) -> Scale:
    """An even axis from 0 to a little beyond the highest value."""
    return Scale(0.0, 1.06 * high if high > 0 else 1.0, start, end)


def ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    # A little less, so that rounding does not take a step that fits for one too small.
    rough = (high - low) / wanted * 0.999
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    factors = (1.0,) if decades > 4 else (1.0, 3.0) if decades > 2.5 else (1.0, 2.0, 5.0)
    found = [factor * 10.0**power for power in powers for factor in factors]
    inside = [value for value in found if low <= value <= high]
    # Within less than a decade there may be one round value or none.
    return inside if len(inside) >= 3 else ticks(low, high)
