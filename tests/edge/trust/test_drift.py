"""The CUSUM alone: what it adds, when it alarms, how an alarm ends, and its stored form."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import pytest

from edge.trust.drift import ALLOWANCE, CEILING, HIGHEST, LIMIT, LOWEST, Drift


def after(shifts: Iterable[float], state: Drift | None = None, *, at_s: float = 0.0) -> Drift:
    """The state after shifts that come a second apart."""
    state = state or Drift()
    for number, shift in enumerate(shifts):
        state = state.after(shift, at_s + number)
    return state


def cells_to_alarm(shift: float) -> int:
    state = Drift()
    while not state.is_alarm:
        state = state.after(shift, 0.0)
    return state.cells


def test_drift_of_ordinary_cells_stays_at_zero() -> None:
    assert after([0.0, 0.9, -5.0, 1.0]) == Drift(cells=4)


@pytest.mark.parametrize(("shift", "most"), [(4.0, 15), (1e9, 15), (math.inf, 15), (1.2, 150)])
def test_drift_of_changed_cells_alarms_in_few(shift: float, most: int) -> None:
    assert cells_to_alarm(shift) <= most


def test_drift_after_one_absurd_cell_does_not_alarm() -> None:
    state = after([1e300])
    assert (state.level, state.is_alarm) == (HIGHEST - ALLOWANCE, False)


def test_drift_after_a_cell_that_is_no_number_counts_it_as_strange() -> None:
    assert after([math.nan]) == after([HIGHEST])


def test_drift_after_a_very_ordinary_cell_forgets_no_more_than_two_and_the_allowance() -> None:
    risen = after([4.0] * 4)
    assert after([-1e300], risen).level == risen.level + LOWEST - ALLOWANCE


def test_alarm_is_since_the_cell_at_which_the_level_left_zero() -> None:
    state = after([0.0] * 5 + [2.0] * 21, at_s=100.0)
    assert (state.since_s, state.rising_cells, state.cells) == (105.0, 21, 26)


def test_level_below_the_limit_is_no_alarm_and_has_no_since() -> None:
    state = after([2.0] * 20)
    assert (state.level, state.is_alarm, state.since_s) == (LIMIT, False, None)


def test_alarm_stays_while_the_level_falls_and_ends_at_zero() -> None:
    alarmed = after([4.0] * 7)
    falling = after([0.0] * 20, alarmed)
    assert (falling.level, falling.is_alarm) == (1.0, True)
    assert after([0.0], falling) == Drift(cells=28)


@pytest.mark.parametrize("cells", [50, 100_000])
def test_alarm_however_long_ends_after_sixty_ordinary_cells(cells: int) -> None:
    alarmed = after([4.0] * cells)
    assert alarmed.level == CEILING
    assert after([0.0] * 59, alarmed).is_alarm
    assert not after([0.0] * 60, alarmed).is_alarm


@pytest.mark.parametrize("state", [Drift(), after([4.0]), after([4.0] * 9), after([0.0] * 9)])
def test_state_stored_as_json_comes_back(state: Drift) -> None:
    assert Drift.from_dict(json.loads(json.dumps(state.to_dict()))) == state


@pytest.mark.parametrize(
    "change",
    [
        {"level": -1.0},
        {"level": CEILING + 1},
        {"level": math.nan},
        {"level": "3"},
        {"level": True},
        {"cells": -1},
        {"cells": 2.5},
        {"rising_cells": 99},
        {"rising_since_s": None},
        {"rising_since_s": math.inf},
        {"is_alarm": 1},
        {"level": 0.0},
        {"more": 1},
    ],
)
def test_state_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    fields = after([4.0] * 9).to_dict() | change
    with pytest.raises(ValueError, match="drift state"):
        Drift.from_dict(fields)


@pytest.mark.parametrize("stored", [[], "x", 3, None, {}])
def test_state_that_is_none_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match="drift state"):
        Drift.from_dict(stored)
