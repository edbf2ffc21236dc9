"""The short form of the campaign: faults of every kind, and a kill at every step."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns.mllp_faults.campaign import run_campaign

FAULTS = 15


def test_faults_and_kills_lose_double_and_credit_nothing_wrongly(tmp_path: Path) -> None:
    figures = run_campaign(tmp_path, faults=FAULTS, seed=7, samples=4)
    assert figures.problems == []
    assert figures.faults.total() >= FAULTS
    kills = {kind for kind in figures.faults if kind.startswith("SIGKILL")}
    assert len(kills) >= 3
    # The receiver got some more than once, and stored each once.
    assert figures.received > figures.results
