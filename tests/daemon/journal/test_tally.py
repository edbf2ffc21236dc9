"""Tests for the counts that triggers of daemon.journal.schema keep."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from daemon.image.records import Dropped, Finished, Postponed, Verdict
from daemon.journal.file import NAME
from daemon.journal.journal import Journal, open_journal
from daemon.journal.schema import COUNT_ROWS
from daemon.journal.summary import read_summary
from edge.errors import RejectReason, StorageError
from edge.labeller import ImageFacts, rejected
from tests.daemon.journal.images import labelled, version


def _counted(folder: Path) -> tuple[Counter[object], Counter[object]]:
    """The counts that the triggers kept, and those of the rows."""
    with closing(sqlite3.connect(folder / NAME)) as db:
        kept = db.execute("SELECT * FROM tally WHERE images != 0").fetchall()
        rows = db.execute(COUNT_ROWS).fetchall()
    return Counter({row[:-1]: row[-1] for row in kept}), Counter({r[:-1]: r[-1] for r in rows})


def _conclude(journal: Journal, chance: random.Random) -> None:
    found: list[Verdict] = []
    for image in journal.claim(chance.randrange(1, 6)):
        broken = rejected(RejectReason.TRUNCATED, "cut", ImageFacts("cd" * 32, 10))
        verdicts: list[Verdict] = [
            Finished(image, labelled(chance.choice(["red", "blue"]))),
            Finished(image, broken),
            Postponed(image, 0.0, 1, "unreadable", None),
            Dropped(image, "gone"),
        ]
        found.append(chance.choice(verdicts))
    journal.conclude(found)


@pytest.mark.parametrize("seed", range(4))
def test_counts_after_any_changes_are_those_of_the_rows(
    journal: Journal, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(150):
        names = [f"{chance.randrange(30)}" for _ in range(3)]
        journal.record_waiting([version(name, chance.randrange(1, 4)) for name in names])
        _conclude(journal, chance)
        if chance.random() < 0.1:
            journal.look_again(5, 1e12)
        if chance.random() < 0.1:
            journal.claim(2)
            journal.take_back_claims(is_interruption=True)
        if chance.random() < 0.05:
            with closing(sqlite3.connect(tmp_path / NAME)) as db:
                db.execute("DELETE FROM image WHERE id % 7 = 0 AND state != 'claimed'")
                db.commit()
    kept, rows = _counted(tmp_path)
    assert kept == rows
    assert len(kept) > 5


def test_summary_has_the_counts_of_the_rows(journal: Journal, tmp_path: Path) -> None:
    journal.record_waiting([version(name) for name in ("a", "b", "c", "d")])
    a, b, c = journal.claim(3)
    broken = rejected(RejectReason.TRUNCATED, "cut", ImageFacts("cd" * 32, 10))
    journal.conclude([Finished(a, labelled("red")), Finished(b, broken), Dropped(c, "gone")])
    found = read_summary(tmp_path, [tmp_path / "export"])
    assert found.states == {"done": 2, "gone": 1, "waiting": 1}
    assert found.statuses == {"labelled": 1, "rejected": 1}
    assert (found.labels, found.reasons) == ({"red": 1}, {"truncated": 1})


def test_counts_that_were_changed_are_noticed_at_the_next_start(
    journal: Journal, tmp_path: Path
) -> None:
    journal.record_waiting([version("a")])
    journal.conclude([Finished(image, labelled("red")) for image in journal.claim(1)])
    journal.close()
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute("UPDATE tally SET images = 2")
        db.commit()
    with pytest.raises(StorageError, match="its counts differ from its rows"):
        open_journal(tmp_path)
