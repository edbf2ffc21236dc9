"""Notices that an analyzer's images have changed: an upward CUSUM over `Familiarity.shift`.

Each cell adds its shift less an allowance to a level that never falls below zero; where the level
passes the limit, the alarm begins. Cells of the laboratory pull it down, strange ones up, and a
few odd cells do nothing. Page, E. S. (1954): Continuous inspection schemes. Biometrika 41, 100-115.

Numbers only: the journal keeps the state, and the daemon says what it means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

# One cell's shift is clipped to these: a single artefact cannot raise the alarm, and a very
# ordinary cell cannot hide many strange ones.
LOWEST: Final = -2.0
HIGHEST: Final = 4.0
# Taken from each shift, which in the laboratory has mean 0 and standard deviation 1. Half of the
# smallest change worth an alarm, as is usual for a CUSUM: two standard deviations.
ALLOWANCE: Final = 1.0
# With the two above: no false alarm in 100,000 cells, and an instrument of another kind is noticed
# in 7 cells, as each adds at most 3. `tests/campaigns/drift.py` measures both.
LIMIT: Final = 20.0
# The level rises no further. So an alarm of a week ends as soon as one of an hour: after about 60
# ordinary cells, less than a slide. One good stretch in a bad slide is too short to end it.
CEILING: Final = 60.0
# As many as the journal's numbers hold.
_MOST_CELLS: Final = 2**63 - 1
# The end of the year 9998: the last time that Python shows in every time zone.
_LAST_S: Final = 253_370_764_800


@dataclass(frozen=True, slots=True)
class Drift:
    """The state after the cells so far.

    An alarm ends by itself when the level is back at zero, that is when the cells since have
    outweighed the change; a person may end it before (`edge-daemon drift --acknowledge`), which
    begins a new state.

    Attributes:
        level: the CUSUM, 0 to CEILING.
        cells: how many there were.
        rising_cells: how many since the level last was zero.
        rising_since_s: when the first of those came, in seconds since 1970; None at zero. Page's
            estimate of when the images changed.
        is_alarm: whether the level has passed the limit and not come back to zero since.
    """

    level: float = 0.0
    cells: int = 0
    rising_cells: int = 0
    rising_since_s: float | None = None
    is_alarm: bool = False

    def after(self, shift: float, at_s: float) -> Drift:
        """The state after one more cell.

        Args:
            shift: `Familiarity.shift`. One that is no number counts as the strangest.
            at_s: when the cell came, in seconds since 1970.
        """
        level = min(CEILING, max(0.0, self.level + clipped(shift) - ALLOWANCE))
        if level == 0.0:
            return Drift(cells=self.cells + 1)
        return Drift(
            level,
            self.cells + 1,
            self.rising_cells + 1,
            at_s if self.rising_since_s is None else self.rising_since_s,
            self.is_alarm or level > LIMIT,
        )

    @property
    def since_s(self) -> float | None:
        """Since when the images look different, in seconds since 1970; None: no alarm."""
        return self.rising_since_s if self.is_alarm else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "level": self.level,
            "cells": self.cells,
            "rising_cells": self.rising_cells,
            "rising_since_s": self.rising_since_s,
            "is_alarm": self.is_alarm,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The state that `to_dict` gave.

        Raises:
            ValueError: it is none; the message does not quote it.
        """
        if not isinstance(fields, Mapping) or set(fields) != set(Drift().to_dict()):
            raise ValueError("the fields are not those of a drift state")
        found = cls(**fields)
        if not _is_valid(found):
            raise ValueError("a value is none of a drift state")
        return replace(found, level=float(found.level))


def clipped(shift: float) -> float:
    """The part of a shift that counts."""
    if math.isnan(shift):
        return HIGHEST
    return min(HIGHEST, max(LOWEST, shift))


def _is_valid(state: Drift) -> bool:
    since_s = state.rising_since_s
    return (
        type(state.level) in (float, int)
        and 0.0 <= state.level <= CEILING
        and type(state.cells) is int
        and type(state.rising_cells) is int
        and 0 <= state.rising_cells <= state.cells <= _MOST_CELLS
        and type(state.is_alarm) is bool
        and (since_s is None or (type(since_s) in (float, int) and 0 <= since_s <= _LAST_S))
        and (state.level > 0.0) == (since_s is not None) == (state.rising_cells > 0)
        and (state.level > 0.0 or not state.is_alarm)
    )
