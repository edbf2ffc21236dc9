"""Chooses the range that the eight bits of an activation cover, from its histogram.

A wide range has coarse steps because of a few rare values; a narrow one clips common values. Each
method is a known compromise. `converters.search.search` picks the method whose logits differ least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.calibration.histogram import HALF_BINS, Histogram

Range = tuple[float, float]

# Shares of the widest range that a search tries.
_SHARES: Final = np.linspace(0.2, 1.0, 81)
_LEVELS: Final = 256
_SYMMETRIC_STEPS: Final = 127


def max_range(histogram: Histogram, *, symmetric: bool) -> Range:
    """From the smallest to the largest value seen."""
    return _extended(histogram.low, histogram.high, symmetric=symmetric)


def percentile_range(histogram: Histogram, percent: float, *, symmetric: bool) -> Range:
    """The range that holds the given percentage of the values; both tails are cut equally."""
    if symmetric:
        folded = _folded(histogram)
        limit = _quantile(folded, percent / 100) * histogram.width
        return -limit, limit
    tail = (1 - percent / 100) / 2
    cumulative = np.cumsum(histogram.counts) / histogram.total
    edges = (np.arange(2 * HALF_BINS + 1) - HALF_BINS) * histogram.width
    low = float(edges[np.searchsorted(cumulative, tail, side="right")])
    high = float(edges[min(int(np.searchsorted(cumulative, 1 - tail)) + 1, 2 * HALF_BINS)])
    return _extended(max(low, histogram.low), min(high, histogram.high), symmetric=False)


def mse_range(histogram: Histogram, *, symmetric: bool) -> Range:
    """The range with the smallest mean squared error of the quantized values."""
    return _search(histogram, _squared_error, symmetric=symmetric)


def entropy_range(histogram: Histogram, *, symmetric: bool) -> Range:
    """The range with the smallest divergence between clipped and quantized distribution.

    It is the Kullback-Leibler divergence, as in Migacz, 8-bit Inference with TensorRT (GTC 2017).
    Zeros are not counted: after a ReLU they are most of the values, and every range represents them
    exactly.
    """
    counts = histogram.counts.copy()
    counts[HALF_BINS] = 0
    without_zeros = replace(histogram, counts=counts)
    return _search(without_zeros if counts.any() else histogram, _divergence, symmetric=symmetric)


METHODS: Final[dict[str, Callable[..., Range]]] = {
    "max": max_range,
    "percentile 99.99": lambda h, *, symmetric: percentile_range(h, 99.99, symmetric=symmetric),
    "percentile 99.999": lambda h, *, symmetric: percentile_range(h, 99.999, symmetric=symmetric),
    "mse": mse_range,
    "entropy": entropy_range,
}


def choose_ranges(
    histograms: dict[str, Histogram], method: str, *, symmetric: bool
) -> dict[str, Range]:
    """The range of every tensor by one of `METHODS`."""
    find = METHODS[method]
    return {name: find(histogram, symmetric=symmetric) for name, histogram in histograms.items()}


Score = Callable[[NDArray[np.float64], NDArray[np.float64], float, float, int], float]


def _search(histogram: Histogram, score: Score, *, symmetric: bool) -> Range:
    """The widest range, shrunk on both sides by the factor with the lowest score."""
    low, high = max_range(histogram, symmetric=symmetric)
    used = histogram.counts > 0
    values, counts = histogram.centres[used], histogram.counts[used].astype(np.float64)
    levels = 2 * _SYMMETRIC_STEPS + 1 if symmetric else _LEVELS
    scores = [score(values, counts, low * s, high * s, levels) for s in _SHARES]
    # Among equal scores the widest range, which clips least.
    best = float(_SHARES[len(scores) - 1 - int(np.argmin(scores[::-1]))])
    return low * best, high * best


def _squared_error(
    values: NDArray[np.float64], counts: NDArray[np.float64], low: float, high: float, levels: int
) -> float:
    step = max((high - low) / (levels - 1), 1e-12)
    quantized = np.clip(np.rint((values - low) / step), 0, levels - 1) * step + low
    return float((counts * (values - quantized) ** 2).sum() / counts.sum())


def _divergence(
    values: NDArray[np.float64], counts: NDArray[np.float64], low: float, high: float, levels: int
) -> float:
    step = max((high - low) / (levels - 1), 1e-12)
    level = np.clip(np.rint((values - low) / step), 0, levels - 1).astype(np.int64)
    # In the reference distribution, clipped values are added to the outermost bins. In the
    # quantized one, each level's mass is spread over its bins.
    inside = (values >= low - step / 2) & (values <= high + step / 2)
    clipped = np.where(inside, counts, 0.0)
    for end in (0, levels - 1):
        at_end = inside & (level == end)
        if at_end.any():
            outer = ~inside & (level == end)
            clipped[np.flatnonzero(at_end)[0 if end == 0 else -1]] += counts[outer].sum()
    mass = np.bincount(level[inside], counts[inside], levels)
    members = np.bincount(level[inside], minlength=levels)
    spread = mass[level] / np.maximum(members[level], 1)
    p = clipped[inside] / counts.sum()
    q = spread[inside] / max(spread[inside].sum(), 1e-12)
    return float((p * np.log(np.maximum(p, 1e-15) / np.maximum(q, 1e-15))).sum())


def _extended(low: float, high: float, *, symmetric: bool) -> Range:
    """The range, extended to contain zero, which quantizers must represent exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    limit = max(-low, high)
    return (-limit, limit) if symmetric else (low, high)


def _folded(histogram: Histogram) -> NDArray[np.int64]:
    """Counts by magnitude: bin i counts magnitudes from i to i + 1 bin widths."""
    return np.asarray(histogram.counts[HALF_BINS:] + histogram.counts[:HALF_BINS][::-1], np.int64)


def _quantile(counts: NDArray[np.int64], share: float) -> float:
    cumulative = np.cumsum(counts) / counts.sum()
    return float(np.searchsorted(cumulative, share) + 1)
