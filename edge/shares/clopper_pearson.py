"""Exact confidence limits of a binomial share (Clopper and Pearson, Biometrika 26:404, 1934)."""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, log1p
from typing import Final

# Halves the interval of the share to 2^-45, 3e-14.
_BISECTIONS: Final = 45
_MOST_TERMS: Final = 10_000
_PRECISION: Final = 1e-13
# Stands for a denominator of 0 in the continued fraction.
_TINY: Final = 1e-300


# The same small counts come again with each slide.
@lru_cache(maxsize=10_000)
def clopper_pearson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Limits of the share of which `count` of `total` is a sample, 0 to 1."""
    if total == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    return _lower_limit(count, total, tail), 1 - _lower_limit(total - count, total, tail)


def _lower_limit(count: int, total: int, tail: float) -> float:
    """The share at which `count` or more of `total` have the probability `tail`, by bisection."""
    if count == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        # P(X >= count) of a binomial variable is the distribution function of a beta variable.
        if beta_cumulative(middle, count, total - count + 1) < tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_cumulative(x: float, a: float, b: float) -> float:
    """P(X <= x) of a Beta(a, b) variable: the regularized incomplete beta function.

    By its continued fraction (Abramowitz and Stegun 26.5.8), which converges in about
    sqrt(max(a, b)) terms on the side of the mean that is used.
    """
    if not 0 < x < 1:
        return float(x >= 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front / a / _fraction(x, a, b)
    return 1 - front / b / _fraction(1 - x, b, a)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) by Lentz's method (Applied Optics 15:668, 1976)."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + numerator * d or _TINY)
        c = 1 + numerator / c or _TINY
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value
