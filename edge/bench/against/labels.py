"""Whether a contender gives the labels of our FP32, apart from what INT8 changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

_CONFIDENCE: Final = 0.95
# Halvings of the interval from 0 to 1: finer than one in a million.
_HALVINGS: Final = 20

Labels = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Expected:
    """The labels of our FP32, and how many of them our INT8 changes."""

    fp32: tuple[str | None, ...]
    changed_by_int8: int

    @property
    def allowed(self) -> int:
        """How many labels a contender may change.

        The upper end of the one-sided 95 % interval (Clopper and Pearson, 1934) of the share that
        INT8 changes: a contender that changes no more may differ from FP32 as INT8 does.
        """
        count = len(self.fp32)
        return round(count * upper_share(self.changed_by_int8, count))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many labels were compared, and how many are equal."""

    compared: int
    equal: int

    @property
    def changed(self) -> int:
        """How many differ."""
        return self.compared - self.equal


def agreement(expected: Expected, found: Labels) -> Agreement:
    """Compare a contender's labels with those of our FP32, image by image."""
    pairs = list(zip(expected.fp32, found, strict=True))
    return Agreement(len(pairs), sum(one == other for one, other in pairs))


def why_not(expected: Expected, found: Agreement) -> str | None:
    """Why the contender's speed is not measured; None if its labels are right."""
    if found.changed <= expected.allowed:
        return None
    return (
        f"{found.changed} of {found.compared} labels differ from our FP32, where our INT8 changes "
        f"{expected.changed_by_int8}: it computes something else, so its speed says nothing"
    )


def upper_share(changed: int, count: int) -> float:
    """The share at which `changed` or fewer of `count` are as rare as 1 in 20; 1 if all changed."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        likelihood = sum(
            comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(changed + 1)
        )
        low, high = (share, high) if likelihood > 1 - _CONFIDENCE else (low, share)
    return high
