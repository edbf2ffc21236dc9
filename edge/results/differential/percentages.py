"""Whole percentages that sum to 100."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_WHOLE: Final = 100


def whole_percentages(counts: Sequence[int]) -> tuple[int, ...]:
    """Percent of each count by largest remainder (Hamilton): whole numbers that sum to 100.

    Every share is rounded down; the points that are left go to the largest remainders. Equal
    remainders are settled by the larger count, then by the place in `counts`. A count never gets
    less than a smaller one, and each value is less than one point from its share.

    Args:
        counts: of which at least one is not 0.
    """
    total = sum(counts)
    # In whole numbers, so that equal remainders are equal on each machine.
    floors = [_WHOLE * count // total for count in counts]
    order = sorted(range(len(counts)), key=lambda i: (-(_WHOLE * counts[i] % total), -counts[i], i))
    raised = set(order[: _WHOLE - sum(floors)])
    return tuple(floor + (i in raised) for i, floor in enumerate(floors))
