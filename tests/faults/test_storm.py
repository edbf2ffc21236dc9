"""The short form of the storm: a kill at every failpoint and some at random moments."""

from __future__ import annotations

from pathlib import Path

from edge.failpoints import LABELLING
from tests.campaigns.storm.storm import RANDOM, parser, run_storm

RANDOM_KILLS = 8
FILES = 800


def test_daemon_killed_at_every_failpoint_loses_tears_and_doubles_nothing(tmp_path: Path) -> None:
    kills = len(LABELLING) + RANDOM_KILLS
    words = f"--kills {kills} --files {FILES} --workers 2 --output {tmp_path}"
    figures = run_storm(parser().parse_args(words.split()), lambda _line: None)
    assert figures.problems == []
    assert {name for name in LABELLING if not figures.kills[name]} == set()
    assert figures.kills[RANDOM] >= RANDOM_KILLS
    assert figures.files >= FILES * 0.9
    # It looked: more than the two sidecars that each image has at the end.
    assert figures.reads > figures.files
