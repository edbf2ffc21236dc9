"""A share of counted things, such as the accuracy on a few cells, with its exact interval."""

from __future__ import annotations

from dataclasses import dataclass

from edge.shares.clopper_pearson import clopper_pearson


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
