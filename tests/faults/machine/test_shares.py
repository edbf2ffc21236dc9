"""A real share that misbehaves: nothing lost, nothing doubled, and the same daemon throughout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.shares import SCENARIOS, Scenario, play
from tests.support.machine.share import lacks

OUTAGE_S = 3.0
HANG_S = 6.0


@pytest.mark.parametrize("is_beside", [False, True], ids=["local", "beside"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_share_that_misbehaves_loses_nothing(
    scenario: Scenario, tmp_path: Path, *, is_beside: bool
) -> None:
    if problem := lacks():
        pytest.skip(problem)
    outage_s = HANG_S if "hangs" in scenario.__name__ else OUTAGE_S
    play(scenario, tmp_path, outage_s, is_beside=is_beside)
