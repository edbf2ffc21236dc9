"""Exact confidence intervals of shares, such as the accuracy on a few cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, lgamma, log, log1p


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total` with its exact 95 % interval; rates are 0..1."""

    count: int
    total: int

    @property
    def rate(self) -> float:
        """The observed share; 0 if `total` is 0."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson limits at 95 %."""
        return clopper_pearson(self.count, self.total)

    def to_dict(self) -> dict[str, float | int]:
        """JSON types: count, total, rate and both limits."""
        low, high = self.interval
        return {
            "count": self.count,
            "total": self.total,
            "rate": round(self.rate, 6),
            "low": round(low, 6),
            "high": round(high, 6),
        }

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.rate:.1%} ({self.count} of {self.total}, 95 % {low:.1%} to {high:.1%})"


def clopper_pearson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact limits of a binomial share (Clopper and Pearson, Biometrika 26:404, 1934)."""
    if total == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else _solve(lambda p: 1 - _cumulative(count - 1, total, p), tail)
    high = 1.0 if count == total else 1 - _solve(lambda q: _cumulative(count, total, 1 - q), tail)
    return low, high


def _solve(probability: Callable[[float], float], target: float) -> float:
    """The share at which an increasing probability reaches `target`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if probability(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _cumulative(count: int, total: int, share: float) -> float:
    """P(X <= count) of a binomial variable."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return float(count >= total)
    return sum(exp(_log_probability(k, total, share)) for k in range(count + 1))


def _log_probability(count: int, total: int, share: float) -> float:
    choices = lgamma(total + 1) - lgamma(count + 1) - lgamma(total - count + 1)
    return choices + count * log(share) + (total - count) * log1p(-share)
