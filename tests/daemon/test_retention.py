"""Tests for daemon.retention: on a real journal and real files, with a clock that is set."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon import retention as module
from daemon.image.records import Dropped, Finished, ImageVersion
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.journal.file import NAME
from daemon.journal.journal import Journal, open_journal
from daemon.retention import DAY_S, Retention, trusted_now
from edge.labeller import ImageFacts, Outcome, Status, Timing
from edge.postprocess import Decision
from tests.support.waiting import until

NOW_S = 1_800_000_000.0
OLD_S = NOW_S - 500 * DAY_S


class Wall:
    """The clock on the wall, which anybody can set."""

    now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Place:
    """An export folder, its journal, and what is left in it."""

    def __init__(self, folder: Path) -> None:
        self.export, self.state = folder / "export", folder / "state"
        self.export.mkdir()
        self.state.mkdir()
        self.journal = open_journal(self.state)
        id_ = self.journal.serve(self.export)
        names = names_regex(("*.jpg",))
        self.root = WatchFolder(id_, self.export, folder / "results", names)
        self.wall = Wall()
        # Yesterday's pass, so that the guard against a wrong clock is not what spares a row.
        last = {"at": NOW_S - DAY_S, "trusted": NOW_S - DAY_S}
        (self.state / module.NAME).write_text(json.dumps(last))

    def retention(self, days: float | None = 400, **options: Any) -> Retention:
        options = {"is_idle": lambda: True, "wall_clock": self.wall, **options}
        return Retention(self.journal, {self.root.id: self.root}, self.state, days, **options)

    def add(self, *names: str, at: float = OLD_S, content: bytes = b"image") -> None:
        """Images in the export whose outcome was noted at some time."""
        for name in names:
            path = self.export / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            version = self.root.look(name.encode())
            assert version is not None
            self.journal.record_waiting([version])
        claimed = self.journal.claim(1000)
        assert len(claimed) == len(names)
        outcome = Outcome(
            Status.LABELLED,
            ImageFacts("ab" * 32, 5),
            Timing(),
            Decision("red", 0.9, {"red": 0.9}, is_identified=True),
        )
        self.journal.conclude([Finished(image, outcome) for image in claimed])
        self.age([image.id for image in claimed], at)

    def age(self, ids: list[int], at: float) -> None:
        with closing(sqlite3.connect(self.state / NAME)) as db, db:
            rows = [(at, at, id_) for id_ in ids]
            db.executemany(
                "UPDATE image SET recorded_at = ?, finished_at = iif(finished_at IS NULL, NULL, ?)"
                " WHERE id = ?",
                rows,
            )

    def remove(self, *names: str) -> None:
        for name in names:
            (self.export / name).unlink()

    def rows(self) -> list[str]:
        with closing(sqlite3.connect(self.state / NAME)) as db:
            return [row[0].decode() for row in db.execute("SELECT path FROM image ORDER BY id")]

    def unknown(self) -> list[ImageVersion]:
        """Images of the export that would be labelled now."""
        names = [path.relative_to(self.export) for path in self.export.rglob("*.jpg")]
        seen = [self.root.look(os.fsencode(name)) for name in names]
        return self.journal.unknown([version for version in seen if version])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.journal.close()


def test_pass_deletes_old_outcomes_of_images_that_left_the_export_only(place: Place) -> None:
    place.add("S1/old-gone.jpg", "S1/old-there.jpg")
    place.add("S2/new-gone.jpg", "S2/new-there.jpg", at=NOW_S - 399 * DAY_S)
    place.remove("S1/old-gone.jpg", "S2/new-gone.jpg")
    assert place.retention().make_pass() == 1
    assert place.rows() == ["S1/old-there.jpg", "S2/new-gone.jpg", "S2/new-there.jpg"]
    assert place.unknown() == []


def test_pass_sees_by_an_image_of_any_ctime_that_the_folder_is_there(place: Place) -> None:
    place.add("stays.jpg", "gone.jpg")
    (place.export / "stays.jpg").chmod(0o600)
    place.remove("gone.jpg")
    assert place.retention().make_pass() == 1
    assert place.rows() == ["stays.jpg"]


def test_pass_deletes_earlier_outcomes_and_versions_that_never_had_one(place: Place) -> None:
    place.add("a.jpg")
    place.add("a.jpg", content=b"another image")
    place.add("b.jpg", at=NOW_S)
    version = ImageVersion(place.root.id, b"c.jpg", 1, 1)
    place.journal.record_waiting([version])
    (claimed,) = place.journal.claim(1)
    place.journal.conclude([Dropped(claimed, "gone")])
    place.age([claimed.id], OLD_S)
    assert place.retention().make_pass() == 2
    assert place.rows() == ["a.jpg", "b.jpg"]
    assert place.unknown() == []


def test_pass_never_touches_images_that_wait_or_are_in_hand(place: Place) -> None:
    place.add("there.jpg", at=NOW_S)
    for name in (b"waiting.jpg", b"claimed.jpg"):
        place.journal.record_waiting([ImageVersion(place.root.id, name, 1, 1)])
    (claimed,) = place.journal.claim(1)
    place.age([claimed.id, claimed.id + 1], OLD_S)
    assert place.retention().make_pass() == 0
    assert len(place.rows()) == 3


def test_pass_spares_an_image_that_was_put_back_while_the_page_was_looked_at(
    place: Place,
) -> None:
    place.add("there.jpg", "gone.jpg")
    place.remove("gone.jpg")
    _, old = place.journal.old_rows(0, NOW_S - 400 * DAY_S, 500)
    assert place.journal.retry_image(place.root.id, b"gone.jpg")
    assert place.journal.delete_old([row for row in old if row.path == b"gone.jpg"], NOW_S) == 0
    assert place.journal.count_open() == 1


def test_pass_deletes_nothing_while_the_share_is_away(place: Place) -> None:
    place.add("S1/a.jpg", "S1/b.jpg")
    mounted = place.export.rename(place.export.with_name("mounted"))
    assert place.retention().make_pass() == 0
    # The bare mount point: a folder that is there, and empty.
    place.export.mkdir()
    place.wall.now_s += DAY_S
    assert place.retention().make_pass() == 0
    # An image that somebody has put there meanwhile proves nothing.
    (place.export / "stray.jpg").write_bytes(b"x")
    place.wall.now_s += DAY_S
    assert place.retention().make_pass() == 0
    (place.export / "stray.jpg").unlink()
    place.export.rmdir()
    mounted.rename(place.export)
    assert place.unknown() == []


def test_pass_deletes_nothing_of_a_share_that_goes_away_within_a_page(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add("S1/a.jpg", "S1/b.jpg", "S1/c.jpg")
    retention = place.retention()
    real_is_gone = WatchFolder.is_gone

    def is_gone(root: WatchFolder, path: bytes) -> bool:
        if path.endswith(b"b.jpg"):
            place.export.rename(place.export.with_name("mounted"))
            place.export.mkdir()
        return real_is_gone(root, path)

    monkeypatch.setattr(WatchFolder, "is_gone", is_gone)
    assert retention.make_pass() == 0
    assert len(place.rows()) == 3
    assert not any(place.export.iterdir())


@pytest.mark.parametrize("number", ["EIO", "ESTALE", "EACCES", "ENOTCONN", "ETIMEDOUT"])
def test_pass_takes_any_other_answer_for_an_image_that_is_there(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    place.add("a.jpg", "b.jpg")

    def lstat(path: bytes) -> os.stat_result:
        raise OSError(getattr(errno, number), number, path)

    monkeypatch.setattr(module, "image_files", lambda *_: iter([place.root.look(b"a.jpg")]))
    with monkeypatch.context() as patch:
        patch.setattr(WatchFolder, "look", lambda *_: ImageVersion(1, b"a.jpg", 1, 1))
        patch.setattr(os, "lstat", lstat)
        patch.setattr(place.journal, "unknown", lambda _seen: [])
        assert place.retention().make_pass() == 0
    assert place.rows() == ["a.jpg", "b.jpg"]


def test_pass_keeps_rows_of_a_folder_that_is_no_longer_served(place: Place) -> None:
    place.add("a.jpg", "b.jpg")
    place.remove("b.jpg")
    other = Retention(
        place.journal, {}, place.state, 400, is_idle=lambda: True, wall_clock=place.wall
    )
    assert other.make_pass() == 0
    assert len(place.rows()) == 2


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


def test_pass_without_retention_days_deletes_nothing(place: Place) -> None:
    place.add("a.jpg", "b.jpg")
    place.remove("b.jpg")
    with place.retention(None).running():
        assert place.retention(None).make_pass() == 0
    assert len(place.rows()) == 2


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
