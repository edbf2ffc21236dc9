"""The journal's file: made private, checked, opened for reading, and its errors told."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from daemon import journal_sql as sql
from edge.errors import StorageError

NAME: Final = "journal.sqlite3"


def require_journal(state_dir: Path) -> Path:
    """The path of a journal that a daemon has made.

    Raises:
        StorageError: there is none, or this user may not look at it.
    """
    path = state_dir / NAME
    try:
        path.stat()
    except FileNotFoundError as error:
        raise StorageError(f"{path} is not there: no daemon has run with it yet.") from error
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}. Run as the daemon's user.") from error
    return path


@contextmanager
def opened_for_reading(state_dir: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a journal, also while a daemon is using it.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    path = require_journal(state_dir)
    with translated(path), closing(_open_for_reading(path)) as connection:
        yield connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and the system's, into StorageError with what to do."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        raise StorageError(
            f"the journal {path} refuses: {error}. Check space, permissions and disk."
        ) from error
    except sqlite3.DatabaseError as error:
        # Only SQLITE_CORRUPT and SQLITE_NOTADB come as this class itself; others are mistakes.
        if type(error) is not sqlite3.DatabaseError:
            raise
        raise StorageError(
            f"the journal {path} is damaged ({error}). Stop the daemon, move {path.name}* aside "
            "and start again: every image is then labelled again and its sidecars are replaced."
        ) from error


def make_private(path: Path) -> None:
    """Make the file before SQLite does, which would let everybody read the sample ids in it.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        # One that is there is not opened: closing it would drop SQLite's locks (see fcntl(2)).
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(f"the journal {path} cannot be opened ({error.strerror}).") from error


def _open_for_reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of an open journal, 0 where it is new.

    Raises:
        StorageError: it is of a newer program.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > sql.SCHEMA_VERSION:
        raise StorageError(
            f"the journal {path} has version {version}, this program reads {sql.SCHEMA_VERSION}. "
            "Install the newer microscope-edge again, or give another state_dir."
        )
    return version
