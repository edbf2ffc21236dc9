# ruff: noqa: S608 - the statements are made here
"""The short form of tests/campaigns/journal_damage.py, and single damages with what they cause."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemon.image.records import ClaimedImage, Dropped, Finished, Postponed, Unchanged, Verdict
from daemon.journal import file as journal_file
from daemon.journal.file import NAME, opened_for_reading
from daemon.journal.journal import Journal, open_journal
from daemon.journal.summary import read_queue, read_summary
from edge.errors import StorageError
from edge.labeller import ImageFacts, Outcome, Timing
from edge.status import Status
from tests.campaigns.journal_damage import FOLDERS, make_journal, run, use
from tests.campaigns.journal_damages import COLUMNS, PAGE, VALUES, past_index

DAMAGED = (
    r"^the journal .*journal\.sqlite3 is damaged \(.*\)\. Stop the daemon, move "
    r"journal\.sqlite3\* aside and start again: every image is then labelled again and its "
    r"sidecars are replaced\.$"
)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    make_journal(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def journal(state_dir: Path) -> Iterator[Journal]:
    with closing(open_journal(state_dir)) as journal:
        for folder in FOLDERS:
            journal.serve(folder)
        journal.take_back_claims(is_interruption=False)
        yield journal


def force(state_dir: Path, *statements: str) -> None:
    """Change a journal past its daemon."""
    with closing(sqlite3.connect(state_dir / NAME, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            db.execute(statement)


def test_journal_that_is_not_damaged_goes_through_all_uses(state_dir: Path) -> None:
    assert use(state_dir) == "unnoticed"
    assert read_queue(state_dir, FOLDERS)[:2] == (0, 0)


def test_sixty_damages_are_refused_in_one_line_or_do_no_harm(tmp_path: Path) -> None:
    found = run(60, 7, tmp_path)
    assert found.problems == []
    assert found.outcomes.total() == 60
    assert found.outcomes["is damaged"] > 20


# SQLite keeps the id a number, and two bytes may be a name.
@pytest.mark.parametrize("column", sorted({*COLUMNS} - {"id", "path"}))
def test_value_that_no_daemon_writes_is_refused_at_the_start(state_dir: Path, column: str) -> None:
    force(state_dir, f"UPDATE image SET {column} = x'fffe' WHERE id = 100")
    with pytest.raises(StorageError, match=DAMAGED):
        open_journal(state_dir)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP INDEX image_waiting",
        "DROP TABLE proof",
        "CREATE TRIGGER t AFTER UPDATE ON image BEGIN DELETE FROM image; END",
        "UPDATE sqlite_schema SET sql = CAST(x'ff' AS TEXT) WHERE name = 'image_look'",
        "DELETE FROM root WHERE id = 1",
        "UPDATE image SET state = 'nonsense' WHERE id = 3",
        "UPDATE image SET status = NULL WHERE id = 1",
        "UPDATE image SET recorded_at = 9e999 WHERE id = 200",
        "UPDATE image SET finished_at = 1e15 WHERE finished_at IS NOT NULL",
        "UPDATE image SET finished_at = -9e14 WHERE finished_at IS NOT NULL",
    ],
)
def test_damaged_schema_or_row_is_refused_at_the_start(state_dir: Path, damage: str) -> None:
    force(state_dir, damage)
    with pytest.raises(StorageError, match=DAMAGED):
        open_journal(state_dir)


@pytest.mark.parametrize("path", [b"/etc/passwd", b"../../a.jpg", b"a//b.jpg", b"a\0b.jpg", b""])
def test_path_that_leads_out_of_its_folder_is_not_followed(state_dir: Path, path: bytes) -> None:
    with closing(sqlite3.connect(state_dir / NAME)) as db, db:
        claimed = "SELECT max(id) FROM image WHERE state = 'claimed'"
        db.execute(f"UPDATE image SET path = ? WHERE id = ({claimed})", (path,))
    with closing(open_journal(state_dir)) as journal:
        for folder in FOLDERS:
            journal.serve(folder)
        with pytest.raises(StorageError, match=DAMAGED):
            journal.claims()
        with pytest.raises(StorageError, match=DAMAGED):
            list(journal.outcomes())
        journal.take_back_claims(is_interruption=False)
        with pytest.raises(StorageError, match=DAMAGED):
            journal.claim(1000)


def finished(image: ClaimedImage) -> Verdict:
    return Finished(image, Outcome(Status.UNIDENTIFIED, ImageFacts("ab" * 32, 10), Timing()))


@pytest.mark.parametrize(
    "verdict",
    [
        finished,
        lambda image: Dropped(image, "gone"),
        lambda image: Postponed(image, 1.0, 1, "test"),
        Unchanged,
    ],
)
def test_conclude_of_an_image_that_is_not_claimed_changes_nothing(
    journal: Journal, state_dir: Path, verdict: Callable[[ClaimedImage], Verdict]
) -> None:
    first, second = journal.claim(2)
    force(state_dir, f"UPDATE image SET state = 'waiting' WHERE id = {second.id}")
    with pytest.raises(StorageError, match="a row is not in the state that was stored"):
        journal.conclude([finished(first), verdict(second)])
    with pytest.raises(StorageError, match="a row is not in the state that was stored"):
        journal.release([second], is_interruption=False)
    assert (first.version.folder_id, first.version.path) in journal.claims()


def test_claim_by_an_index_that_missed_a_change_is_refused(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "UPDATE image SET state = 'gone' WHERE state = 'waiting'"
    past_index(state_dir / NAME, "image_waiting", gone)
    with pytest.raises(StorageError, match="an index differs from its table"):
        open_journal(state_dir)
    # As if it had come about since the start.
    monkeypatch.setattr("daemon.journal.file.require_intact", lambda *_: None)
    with closing(open_journal(state_dir)) as journal:
        for folder in FOLDERS:
            journal.serve(folder)
        with pytest.raises(StorageError, match="not in the state that was stored"):
            journal.claim(16)


def test_rows_that_come_out_of_their_order_do_not_make_pages_without_end(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state_dir / NAME
    content = bytearray(path.read_bytes())
    # The leaf of a table (13) with the most rows; from its eighth byte on it says where they lie.
    leaves = [n for n in range(0, len(content), PAGE) if content[n] == 13]
    leaf = max(leaves, key=lambda n: int.from_bytes(content[n + 3 : n + 5], "big"))
    here, there = slice(leaf + 12, leaf + 14), slice(leaf + 14, leaf + 16)
    content[here], content[there] = content[there], content[here]
    path.write_bytes(content)
    with pytest.raises(StorageError, match="out of order"):
        open_journal(state_dir)
    monkeypatch.setattr("daemon.journal.check.PAGES_BYTES", 0)
    with closing(open_journal(state_dir)) as journal:
        for folder in FOLDERS:
            journal.serve(folder)
        with pytest.raises(StorageError, match="rows are not in order"):
            list(journal.outcomes())
        with pytest.raises(StorageError, match="rows are not in order"):
            journal.old_rows(0, 1e10, 1000)


def test_statement_that_goes_in_circles_is_ended(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_file, "_LEAST_STEPS", 1_000_000)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with (
        pytest.raises(StorageError, match=r"is damaged \(interrupted\)"),
        opened_for_reading(state_dir) as db,
    ):
        db.execute(endless).fetchone()
    with closing(open_journal(state_dir)) as journal:
        with (
            pytest.raises(StorageError, match=r"is damaged \(interrupted\)"),
            journal._transaction() as db,  # noqa: SLF001 - no statement of the journal's own is so long
        ):
            db.execute(endless).fetchone()
        # The count begins again with each transaction.
        journal.check_writable()
        assert journal.count_open() == 9


@pytest.mark.parametrize("value", VALUES)
def test_state_of_any_value_is_refused_by_status_or_counted(state_dir: Path, value: str) -> None:
    force(state_dir, f"UPDATE OR IGNORE image SET state = {value} WHERE id % 9 = 3")
    try:
        states = read_summary(state_dir, FOLDERS).states
    except StorageError as error:
        assert "is damaged" in str(error)  # noqa: PT017
    else:
        assert all(type(state) is str for state in states)


@pytest.mark.parametrize("moment", ["1e15", "-9e14", "-1.0"])
@pytest.mark.parametrize("column", ["finished_at", "recorded_at"])
def test_time_of_no_calendar_is_refused_by_status(
    state_dir: Path, column: str, moment: str
) -> None:
    force(state_dir, f"UPDATE image SET {column} = {moment} WHERE {column} IS NOT NULL")
    with pytest.raises(StorageError, match="a time is float or out of range"):
        read_summary(state_dir, FOLDERS)
