"""Tests for daemon.journal.streams: what is kept of each folder's images, whatever is damaged."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from daemon.image.records import Finished
from daemon.journal.file import NAME
from daemon.journal.journal import Journal
from daemon.journal.streams import HOUR_S, KEPT_WEEKS, StreamHour, follow, read_histories
from edge.errors import RejectReason, StorageError
from edge.labeller import ImageFacts, rejected
from edge.trust.drift import Drift
from tests.daemon.journal.images import BUNDLE, labelled, reopened, verdicts, version

OTHER = "b" * 64
# A text of which one bit was lost, as `execute` stores it.
NOT_UTF8 = b"{\xff}"


def state(journal: Journal) -> Drift | None:
    (stream,) = journal.streams()
    return stream.drift


def execute(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / NAME)) as db:
        db.execute(statement, values)
        db.commit()


def store_hours(folder: Path, hours: Iterable[int]) -> None:
    """One cell in each of these hours since 1970."""
    rows = [(hour, BUNDLE) for hour in hours]
    with closing(sqlite3.connect(folder / NAME)) as db, db:
        db.executemany("INSERT INTO stream_hour VALUES (1, ?, ?, 1, 0.0, 0.0, 0, 0)", rows)


def hours(folder: Path) -> tuple[StreamHour, ...]:
    (history,) = read_histories(folder, [folder / "export"], 0.0)
    return history.hours


def test_stream_goes_on_by_the_cells_of_each_batch(journal: Journal, tmp_path: Path) -> None:
    for _ in range(3):
        (stream,) = journal.conclude(verdicts(journal, [0.0, 2.0, 4.0]))
    assert (stream.folder_id, stream.bundle_sha256) == (1, BUNDLE)
    assert stream.drift == state(journal)
    assert stream.drift is not None
    assert (stream.drift.level, stream.drift.cells) == (10.0, 9)
    (hour,) = hours(tmp_path)
    assert (hour.cells, hour.shifts, hour.squares) == (9, 18.0, 60.0)
    assert (hour.unfamiliar, hour.alarmed, hour.bundle_sha256) == (3, 0, BUNDLE)
    assert abs(hour.began_s - time.time()) < 2 * HOUR_S


def test_stream_is_the_same_after_a_restart(journal: Journal, tmp_path: Path) -> None:
    journal.conclude(verdicts(journal, [4.0] * 9))
    before = state(journal)
    again = reopened(journal, tmp_path)
    assert state(again) == before
    again.close()


def test_stream_of_images_that_were_not_concluded_does_not_go_on(journal: Journal) -> None:
    found = verdicts(journal, [4.0] * 9)
    with pytest.raises(StorageError):
        journal.conclude([*found, found[0]])
    assert journal.streams() == []
    journal.conclude(found)
    assert state(journal) is not None


def test_streams_of_two_folders_are_apart(journal: Journal, tmp_path: Path) -> None:
    other = journal.serve(tmp_path / "other")
    mixed = [*verdicts(journal, [4.0] * 9), *verdicts(journal, [0.0] * 4, root=other)]
    found = {stream.folder_id: stream.drift for stream in journal.conclude(mixed)}
    assert found[1] is not None
    assert found[1].is_alarm
    assert found[other] == Drift(cells=4)
    first, second, never = read_histories(
        tmp_path, [tmp_path / "export", tmp_path / "other", tmp_path / "never"], 0.0
    )
    assert [hour.cells for hour in (*first.hours, *second.hours)] == [9, 4]
    assert (never.stream, never.hours) == (None, ())


def test_rejected_image_and_one_without_a_score_are_no_cells_of_the_stream(
    journal: Journal,
) -> None:
    journal.record_waiting([version("a"), version("b")])
    a, b = journal.claim(2)
    bad = rejected(RejectReason.TRUNCATED, "no end", ImageFacts())
    assert journal.conclude([Finished(a, bad), Finished(b, labelled("red"))]) == []
    assert journal.streams() == []


def test_another_bundle_begins_the_stream_anew_and_the_hours_say_which(
    journal: Journal, tmp_path: Path
) -> None:
    journal.conclude(verdicts(journal, [4.0] * 9))
    (stream,) = journal.conclude(verdicts(journal, [0.0], bundle=OTHER))
    assert (stream.bundle_sha256, stream.drift) == (OTHER, Drift(cells=1))
    assert {hour.bundle_sha256: hour.cells for hour in hours(tmp_path)} == {BUNDLE: 9, OTHER: 1}


def test_stream_begun_anew_keeps_its_hours(journal: Journal, tmp_path: Path) -> None:
    journal.begin_stream_anew(1)
    assert journal.streams() == []
    journal.conclude(verdicts(journal, [4.0] * 9))
    journal.begin_stream_anew(1)
    assert state(journal) == Drift()
    assert sum(hour.alarmed for hour in hours(tmp_path)) == 3


def test_no_more_hours_than_those_of_a_quarter_of_a_year_are_kept(
    journal: Journal, tmp_path: Path
) -> None:
    now = int(time.time() // HOUR_S)
    kept = KEPT_WEEKS * 7 * 24
    store_hours(tmp_path, range(now - kept - 10, now))
    journal.conclude(verdicts(journal, [0.0]))
    found = [hour.began_s // HOUR_S for hour in hours(tmp_path)]
    # The hour may have changed since.
    assert found[-1] in {now, now + 1}
    assert found[:-1] == list(range(now - kept + 1, now))


@pytest.mark.parametrize("years", [-56, 1])
def test_clock_that_is_wrong_for_a_cell_deletes_no_hours(
    journal: Journal, tmp_path: Path, years: int
) -> None:
    now = int(time.time() // HOUR_S)
    before = [now - 1900, now - 5]
    store_hours(tmp_path, before)
    with closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        follow(db, verdicts(journal, [0.0]), (now + years * 8766) * HOUR_S)
    found = [hour.began_s // HOUR_S for hour in hours(tmp_path)]
    assert found == ([now + years * 8766, *before] if years < 0 else before)


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "null", "{}", '{"level": 1e999}', "[" * 100_000, b"\xff\xfe", 7, 2.5, NOT_UTF8],
)
def test_damaged_state_begins_anew_and_the_image_is_concluded(
    journal: Journal, tmp_path: Path, damaged: object
) -> None:
    journal.conclude(verdicts(journal, [4.0] * 9))
    execute(tmp_path, "UPDATE stream SET drift = ?", damaged)
    if damaged == NOT_UTF8:
        execute(tmp_path, "UPDATE stream SET drift = CAST(drift AS TEXT)")
    assert state(journal) is None
    journal.conclude(verdicts(journal, [0.0, 0.0]))
    assert state(journal) == Drift(cells=2)
    assert not journal.has_open_images()


@pytest.mark.parametrize("value", [json.dumps(Drift(cells=5).to_dict())])
def test_state_with_a_damaged_bundle_begins_anew(
    journal: Journal, tmp_path: Path, value: str
) -> None:
    execute(tmp_path, "INSERT INTO stream VALUES (1, ?, ?)", b"\x00", value)
    journal.begin_stream_anew(1)
    journal.conclude(verdicts(journal, [0.0]))
    assert state(journal) == Drift(cells=1)


def test_state_with_a_bundle_that_is_no_utf8_begins_anew(journal: Journal, tmp_path: Path) -> None:
    journal.conclude(verdicts(journal, [4.0] * 9))
    execute(tmp_path, "UPDATE stream SET bundle_sha256 = CAST(? AS TEXT)", NOT_UTF8)
    assert state(journal) is None
    journal.conclude(verdicts(journal, [0.0]))
    assert state(journal) == Drift(cells=1)


@pytest.mark.parametrize("table", ["stream", "stream_hour"])
def test_images_are_concluded_without_the_tables_of_the_streams(
    journal: Journal, tmp_path: Path, table: str
) -> None:
    execute(tmp_path, f"DROP TABLE {table}")
    (stream,) = journal.conclude(verdicts(journal, [4.0] * 9))
    assert stream.drift is None
    assert not journal.has_open_images()
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        assert db.execute("SELECT count(*) FROM image WHERE state = 'done'").fetchone() == (9,)


@pytest.mark.parametrize(
    "change",
    [
        "cells = 0",
        "cells = 'x'",
        "cells = 9223372036854775807",
        "unfamiliar = 99",
        "shifts = 'x'",
        "shifts = 1.7e308",
        "shifts = -1.7e308",
        "squares = 1.7e308",
        "squares = -9",
        "alarmed = -1",
        "bundle_sha256 = CAST(x'7bff7d' AS TEXT)",
    ],
)
def test_damaged_hour_is_left_out_and_counted(
    journal: Journal, tmp_path: Path, change: str
) -> None:
    journal.conclude(verdicts(journal, [4.0] * 9))
    execute(tmp_path, f"UPDATE stream_hour SET {change}")  # noqa: S608
    (history,) = read_histories(tmp_path, [tmp_path / "export"], 0.0)
    assert (history.hours, history.damaged_hours) == ((), 1)
    assert history.stream is not None


def test_hours_are_read_from_a_time_on(journal: Journal, tmp_path: Path) -> None:
    journal.conclude(verdicts(journal, [0.0]))
    (history,) = read_histories(tmp_path, [tmp_path / "export"], time.time() + 2 * HOUR_S)
    assert history.hours == ()
    assert history.stream is not None
