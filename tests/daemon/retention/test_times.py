"""Tests for daemon.retention: when a pass is due, and how long it holds anybody up."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from daemon import retention as module
from daemon.journal.file import NAME
from daemon.journal.journal import Journal
from daemon.retention import DAY_S, trusted_now
from tests.daemon.retention.place import NOW_S, OLD_S, Place
from tests.support.waiting import until


@pytest.mark.parametrize("is_first_pass", [False, True])
def test_pass_under_a_clock_that_jumped_a_year_deletes_nothing_before_its_time(
    place: Place, *, is_first_pass: bool
) -> None:
    place.add("there.jpg", "gone.jpg", at=NOW_S - 100 * DAY_S)
    place.add("last.jpg", at=NOW_S)
    place.remove("gone.jpg")
    if is_first_pass:
        (place.state / module.NAME).unlink()
    retention = place.retention()
    place.wall.now_s = NOW_S + 365 * DAY_S
    # With outcomes under the wrong clock, too.
    place.add("new.jpg", at=place.wall.now_s)
    for _ in range(10):
        assert retention.make_pass() == 0
        place.wall.now_s += DAY_S
    assert len(place.rows()) == 4
    # Set right again, ages are right again.
    place.wall.now_s = NOW_S + 301 * DAY_S
    assert retention.is_due()
    for _ in range(60):
        retention.make_pass()
    assert place.rows() == ["there.jpg", "last.jpg", "new.jpg"]


def test_trusted_now_is_never_later_than_the_clock() -> None:
    assert trusted_now(NOW_S, None, None) == NOW_S
    assert trusted_now(NOW_S, None, NOW_S + 99 * DAY_S) == NOW_S
    assert trusted_now(NOW_S, NOW_S + 99 * DAY_S, None) == NOW_S
    assert trusted_now(NOW_S, NOW_S - DAY_S, None) == NOW_S
    assert trusted_now(NOW_S, NOW_S - 99 * DAY_S, None) == NOW_S - 92 * DAY_S


def test_pass_is_due_once_a_day_whatever_the_number_of_starts(place: Place) -> None:
    assert place.retention().is_due()
    place.retention().make_pass()
    assert not place.retention().is_due()
    place.wall.now_s += DAY_S
    assert place.retention().is_due()
    place.wall.now_s -= 30 * DAY_S
    assert place.retention().is_due()
    (place.state / module.NAME).write_text("torn")
    assert place.retention().is_due()


def test_running_makes_its_pass_and_ends_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.02)
    place.add("there.jpg", "gone.jpg")
    place.remove("gone.jpg")
    deleted: list[int] = []
    # A daemon that is never idle gets its turn too.
    with place.retention(on_deleted=deleted.append, is_idle=lambda: False).running():
        until(lambda: deleted == [1])
        start = time.monotonic()
    assert time.monotonic() - start < 1
    assert place.rows() == ["there.jpg"]
    assert not [thread for thread in threading.enumerate() if thread.name == "retention"]


def fill(journal: Journal, folder: Path, root: int, first: int, count: int) -> None:
    """Rows as a year leaves them, without the year."""
    journal.count_open()
    with closing(sqlite3.connect(folder / NAME)) as db, db:
        db.executemany(
            "INSERT INTO image (root, path, size_bytes, mtime_ns, state, status, label, confidence,"
            " sha256, recorded_at, finished_at) VALUES (?, ?, 20000, 1, 'done', 'labelled',"
            " 'neutrophil', 0.99, ?, ?, ?)",
            (
                (root, f"S{n // 200:07}/1/cell_{n:08}.jpg".encode(), "ab" * 32, OLD_S, OLD_S)
                for n in range(first, first + count)
            ),
        )


def test_journal_of_many_days_stops_growing_and_nobody_waits_for_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHARE", 0.5)
    place.add("there.jpg", at=NOW_S)
    count = 20_000
    sizes: list[int] = []
    claims_s: list[float] = []
    for day in range(3):
        fill(place.journal, place.state, place.root.id, day * count, count)
        thread = threading.Thread(target=place.retention().make_pass)
        thread.start()
        while thread.is_alive():
            start = time.perf_counter()
            place.journal.claim(16)
            claims_s.append(time.perf_counter() - start)
            time.sleep(0.002)
        thread.join()
        place.wall.now_s += DAY_S
        assert place.rows() == ["there.jpg"]
        with closing(sqlite3.connect(place.state / NAME)) as db:
            db.execute("PRAGMA wal_checkpoint")
        sizes.append((place.state / NAME).stat().st_size)
    # What the first day's rows left behind was used for the next days'.
    assert sizes[2] <= sizes[0] * 1.1
    assert sorted(claims_s)[len(claims_s) // 2] < 0.1
