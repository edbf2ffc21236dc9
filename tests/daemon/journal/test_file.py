"""Tests for daemon.journal.file and its schema: files that are none, earlier versions, upgrades."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.image.records import ImageVersion
from daemon.journal import schema as journal_schema
from daemon.journal.file import NAME
from daemon.journal.journal import open_journal
from daemon.journal.summary import read_summary
from edge.errors import StorageError

ROOT = Path(__file__).parents[3]
MTIME_NS = 1_700_000_000_123_456_789
ROWS = """
INSERT INTO root VALUES (1, CAST('/export' AS BLOB));
INSERT INTO image (root, path, size_bytes, mtime_ns, state, status, label, confidence, sha256,
    recorded_at, finished_at)
VALUES (1, CAST('red.jpg' AS BLOB), 10, 5, 'done', 'labelled', 'red', 0.9, 'ab', 1.0, 2.0);
INSERT INTO image (root, path, size_bytes, mtime_ns, state, status, reason, recorded_at,
    finished_at)
VALUES (1, CAST('half.jpg' AS BLOB), 10, 5, 'done', 'rejected', 'truncated', 1.0, 2.0),
    (1, CAST('big.jpg' AS BLOB), 10, 5, 'done', 'rejected', 'too_large', 1.0, 2.0);
INSERT INTO image (root, path, size_bytes, mtime_ns, state, reason, attempts, recorded_at)
VALUES (1, CAST('held.jpg' AS BLOB), 10, 5, 'waiting', 'Input/output error', 2, 3.0),
    (1, CAST('in hand.jpg' AS BLOB), 10, 5, 'claimed', 'unreadable', 0, 3.0);
"""


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """A state folder with a journal as version 1 of the schema left it."""
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.executescript(f"{journal_schema.STEPS[0]} {ROWS} PRAGMA user_version = 1;")
    return tmp_path


def rows(folder: Path, what: str) -> dict[str, Any]:
    with closing(sqlite3.connect(folder / NAME)) as db:
        found = db.execute(f"SELECT CAST(path AS TEXT), {what} FROM image").fetchall()  # noqa: S608
    return dict(found)


def test_open_journal_of_version_1_brings_it_up_to_date_and_keeps_every_row(
    version_1: Path,
) -> None:
    with closing(open_journal(version_1)) as journal:
        assert journal.serve(Path("/export")) == 1
        assert rows(version_1, "state || coalesce(status, '')") == {
            "red.jpg": "donelabelled",
            "half.jpg": "donerejected",
            "big.jpg": "donerejected",
            "held.jpg": "waiting",
            "in hand.jpg": "claimed",
        }
        assert rows(version_1, "cause")["held.jpg"] == "Input/output error"
        assert rows(version_1, "cause")["in hand.jpg"] == "unreadable"
        assert rows(version_1, "reason") == {
            "red.jpg": None,
            "half.jpg": "truncated",
            "big.jpg": "too_large",
            "held.jpg": None,
            "in hand.jpg": None,
        }
        # A copy that was rejected before it ended gets its one look.
        assert journal.look_again(9, 1e9) == 1
        assert rows(version_1, "recheck")["half.jpg"] == "look"
        # A scan tells the ctime, which is no reason to read the image.
        assert journal.record_waiting([ImageVersion(1, b"red.jpg", 10, 5, 99)]) == 0
        assert journal.unknown([ImageVersion(1, b"red.jpg", 10, 5, 99)]) == []
        # Its bundle is not known.
        (page,) = journal.outcomes(of_other_than="cd" * 32)
        assert [image.path for image in page] == [b"red.jpg"]


def test_journal_brought_up_to_date_has_the_schema_of_a_new_one(version_1: Path) -> None:
    open_journal(version_1).close()
    # As every start does, which compares the two.
    open_journal(version_1).close()


def test_upgrade_that_fails_at_any_statement_leaves_version_1(
    version_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(version_1, "state")
    right = journal_schema.statements(1)
    for number in range(len(right) + 1):
        broken = [*right[:number], "SELECT no_such_column FROM image"]
        monkeypatch.setattr("daemon.journal.file.statements", lambda _, broken=broken: broken)
        with pytest.raises(StorageError, match="no_such_column"):
            open_journal(version_1)
        with closing(sqlite3.connect(version_1 / NAME)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (1,)
            assert "ctime_ns" not in [r[1] for r in db.execute("PRAGMA table_info(image)")]
        assert rows(version_1, "state") == before
    monkeypatch.undo()
    open_journal(version_1).close()


def test_upgrade_that_is_killed_leaves_version_1(version_1: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from daemon.journal import file, journal\n"
        "right = file.statements(1)\n"
        "class Killing(list):\n"
        "    def __iter__(self):\n"
        "        yield from list.__iter__(self)\n"
        "        os.kill(os.getpid(), 9)\n"
        "file.statements = lambda version: Killing(right)\n"
        "journal.open_journal(Path(sys.argv[1]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, version_1], cwd=ROOT, check=False)
    assert killed.returncode == -9
    with closing(sqlite3.connect(version_1 / NAME)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    open_journal(version_1).close()
    assert rows(version_1, "state")["red.jpg"] == "done"


def test_journal_of_version_1_is_not_upgraded_below_a_daemon_of_that_version(
    version_1: Path,
) -> None:
    with pytest.raises(
        StorageError, match=r"version 1, this program reads \d\. Restart the daemon"
    ):
        open_journal(version_1, may_upgrade=False)
    with pytest.raises(
        StorageError, match=r"version 1, this program reads \d\. Restart the daemon"
    ):
        read_summary(version_1, [])


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    sqlite3.connect(target).close()
    path.symlink_to(target)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("make", [make_fifo, make_link, Path.mkdir])
def test_journal_that_is_no_file_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], None], suffix: str
) -> None:
    if suffix:
        open_journal(tmp_path).close()
    make(tmp_path / f"{NAME}{suffix}")
    message = f"{NAME}{suffix} is not a regular file. Stop the daemon, remove it and start again.$"
    with pytest.raises(StorageError, match=message):
        open_journal(tmp_path)
    with pytest.raises(StorageError, match=message):
        read_summary(tmp_path, [])


def test_journal_of_another_user_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_journal(tmp_path).close()
    monkeypatch.setattr("daemon.journal.file.os.geteuid", lambda: os.getuid() + 4242)
    for action in (open_journal, lambda folder: read_summary(folder, [])):
        with pytest.raises(StorageError, match=r"belongs to user \d+, this is \d+\. Run as"):
            action(tmp_path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("deed", ["removed", "replaced"])
def test_prove_where_a_file_of_the_open_journal_was_taken_away_is_refused(
    tmp_path: Path, suffix: str, deed: str
) -> None:
    """What is written from then on is in a file without a name."""
    file = tmp_path / f"{NAME}{suffix}"
    with closing(open_journal(tmp_path)) as journal:
        journal.check_writable()
        journal.check_writable()
        copy = file.read_bytes()
        file.unlink()
        if deed == "replaced":
            # Beside it first: the inode that became free is not given again.
            (tmp_path / "copy").write_bytes(copy)
            (tmp_path / "copy").rename(file)
        with pytest.raises(StorageError, match="was removed or replaced while this daemon was"):
            journal.check_writable()
