"""The CUSUM against the Page-Hinkley test of river 0.26.1 (BSD-3-Clause, August 2026).

river follows the mean of the stream itself, where the laboratory's is known here to be 0. So what
it sees, a shift less the mean so far, is given to the CUSUM, and both must go the same way.
`river_alarms.json` holds streams by their seed with river's level at the end and its first alarm.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from edge.trust.drift import CEILING, Drift
from tests.support.river.judge import deviations, river_answers, stream_of

STORED: Final[list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("river_alarms.json").read_text("utf-8")
)


def drift_answers(seed: int, change: float) -> dict[str, Any]:
    state, alarm = Drift(), None
    levels = []
    for number, deviation in enumerate(deviations(stream_of(seed, change))):
        state = state.after(deviation, 0.0)
        levels.append(state.level)
        if state.is_alarm:
            alarm = number
            break
    return {"seed": seed, "change": change, "alarm": alarm, "level": levels[-1]}


@pytest.mark.parametrize("stored", STORED, ids=lambda one: f"{one['seed']}, {one['change']}")
def test_drift_alarms_at_the_cell_at_which_river_does(stored: dict[str, Any]) -> None:
    found = drift_answers(stored["seed"], stored["change"])
    assert found["alarm"] == stored["alarm"]
    assert found["level"] == pytest.approx(stored["level"], abs=1e-9)
    assert found["level"] < CEILING


def test_stored_streams_are_of_both_kinds() -> None:
    alarms = [one["alarm"] for one in STORED]
    assert None in alarms
    assert len({alarm for alarm in alarms if alarm}) > 5


@pytest.mark.skipif(
    not os.environ.get("EDGE_FULL_TESTS"),
    reason="one of the long list: EDGE_FULL_TESTS=1 installs river with SciPy (150 MB)",
)
@pytest.mark.timeout(1200)
def test_river_asked_again_answers_as_it_did() -> None:
    asked = [(one["seed"], one["change"]) for one in STORED]
    for again, stored in zip(river_answers(asked), STORED, strict=True):
        assert again["alarm"] == stored["alarm"]
        assert again["level"] == pytest.approx(stored["level"], abs=1e-9)
