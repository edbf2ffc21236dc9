"""Tests for files of SQLite, with real ones."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge.database.file import DatabaseFile
from edge.errors import StorageError


@pytest.fixture
def file(tmp_path: Path) -> DatabaseFile:
    return DatabaseFile(
        path=tmp_path / "notes.sqlite3",
        what="the notes",
        version=2,
        statements=("CREATE TABLE note (text TEXT NOT NULL)", "CREATE INDEX texts ON note (text)"),
        if_damaged="Write them anew.",
        busy_s=0.0,
        is_checked=True,
    )


def test_open_makes_a_private_file_with_its_tables_and_finds_them_again(
    file: DatabaseFile,
) -> None:
    with closing(file.open()) as db, file.transaction(db):
        db.execute("INSERT INTO note VALUES ('one')")
    with closing(file.open()) as db:
        assert db.execute("SELECT text FROM note").fetchall() == [("one",)]
        modes = {stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()}
    assert modes == {0o600}


def test_transaction_that_fails_leaves_nothing(file: DatabaseFile) -> None:
    with closing(file.open()) as db:

        def fail() -> None:
            with file.transaction(db):
                db.execute("INSERT INTO note VALUES ('one')")
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            fail()
        assert db.execute("SELECT COUNT(*) FROM note").fetchone() == (0,)


@pytest.mark.parametrize("is_replaced", [False, True], ids=["removed", "replaced"])
def test_transaction_in_a_file_that_is_no_longer_there_is_refused(
    file: DatabaseFile, *, is_replaced: bool
) -> None:
    with closing(file.open()) as db:
        file.path.rename(file.path.with_suffix(".old"))
        if is_replaced:
            file.path.write_bytes(b"")
        with (
            pytest.raises(StorageError, match="removed or replaced while it was in use"),
            file.transaction(db),
        ):
            db.execute("INSERT INTO note VALUES ('one')")
        assert db.execute("SELECT COUNT(*) FROM note").fetchone() == (0,)


def test_open_beside_an_open_one_keeps_its_lock(file: DatabaseFile) -> None:
    code = (
        "import sqlite3, sys\n"
        "sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')"
    )
    with closing(file.open()) as db, file.transaction(db):
        file.open().close()
        # Another process sees the locks of this one.
        words = [sys.executable, "-c", code, str(file.path)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert "database is locked" in done.stderr


def test_transaction_that_another_one_keeps_waiting_is_refused(file: DatabaseFile) -> None:
    refused = pytest.raises(StorageError, match=r"the notes .* cannot be used: database is locked")
    with (
        closing(file.open()) as one,
        closing(file.open()) as other,
        file.transaction(one),
        refused,
        file.transaction(other),
    ):
        pass


@pytest.mark.parametrize("content", [b"no database" * 1000, b"\0" * 8192])
def test_open_of_a_damaged_file_says_what_to_do(file: DatabaseFile, content: bytes) -> None:
    file.path.write_bytes(content)
    with pytest.raises(StorageError, match=r"the notes .* is damaged .*\. Write them anew\."):
        file.open()
    assert file.path.read_bytes() == content


def test_open_of_another_version_is_refused(file: DatabaseFile) -> None:
    with closing(file.open()) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(StorageError, match=r"the notes .* has version 9, this program reads 2"):
        file.open()


def test_open_of_a_pipe_does_not_hang(file: DatabaseFile) -> None:
    os.mkfifo(file.path)
    with pytest.raises(StorageError, match="it is no regular file"):
        file.open()


def test_wrong_use_stays_what_it_is(file: DatabaseFile) -> None:
    db = file.open()
    db.close()
    with pytest.raises(sqlite3.ProgrammingError), file.translated():
        db.execute("SELECT 1")
