"""The outbox's file: makes it private, opens it, and translates SQLite's errors."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.files.atomic import make_folder, storage_errors
from edge.files.open_folder import open_folder
from edge.files.safe_open import open_regular
from edge.results.send.outbox.schema import STATEMENTS, VERSION
from edge.text.printable import printable

NAME: Final = "outbox.sqlite3"
LOCK: Final = "lock"
# Error codes that do not mean a damaged file: permission, lock, memory, disk, space.
# https://sqlite.org/rescode.html
_REFUSALS: Final = frozenset({3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 22, 23})
# An operator's command and the service write in turn; each for some milliseconds.
_WAIT_S: Final = 30.0


@contextmanager
def only_sender(state_dir: Path) -> Iterator[None]:
    """Make the state folder if it is missing, and lock it for this process.

    The kernel drops the lock when the process ends in any way.

    Raises:
        StorageError: another process sends, or the folder cannot be used.
    """
    if not state_dir.is_dir():
        make_folder(state_dir)
        with storage_errors("make private", state_dir):
            # Messages hold patient data.
            state_dir.chmod(0o700)
    with storage_errors("lock", state_dir), open_folder(state_dir) as folder:
        lock = open_regular(LOCK, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=folder.descriptor)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise StorageError(
                f"{state_dir} is in use by another edge-results send. Stop that one; two would "
                "send everything twice."
            ) from error
    try:
        yield
    finally:
        os.close(lock)


def open_database(state_dir: Path) -> sqlite3.Connection:
    """Open the outbox, or make it.

    Raises:
        StorageError: it is damaged, of a newer version, or cannot be opened.
    """
    path = state_dir / NAME
    with translated(path):
        # Made before SQLite does, which would make it readable for everybody. An existing one is
        # not opened, as closing it would drop SQLite's locks (see fcntl(2)).
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # With NORMAL a power cut would lose the last transactions.
            connection.execute("PRAGMA synchronous = FULL")
            _bring_up_to_date(connection, path)
            _require_intact(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def require_outbox(state_dir: Path) -> None:
    """Check that there is an outbox.

    Raises:
        StorageError: there is none, or this user may not look at it.
    """
    path = state_dir / NAME
    try:
        path.lstat()
    except FileNotFoundError as error:
        raise StorageError(
            f"{path} is not there: nothing was sent with this configuration yet. Start "
            "edge-results send --watch or --once."
        ) from error
    except OSError as error:
        text = "Run this as root, or as the service's user."
        raise StorageError(f"{path}: {error.strerror}. {text}") from error


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StorageError in place of errors of SQLite and of the system."""
    try:
        yield
    except OSError as error:
        raise _unusable(path, error) from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # bugs of this program
    except sqlite3.Error as error:
        # Errors without a code are Python's, on text that is not UTF-8.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        raise (_unusable if code & 0xFF in _REFUSALS else damaged)(path, error) from error


def damaged(path: Path, error: object) -> StorageError:
    """The error for a damaged outbox."""
    # SQLite's message may quote the file's content.
    what = printable(str(error)[:200])
    return StorageError(
        f"the outbox {path} is damaged ({what}). Stop the service, move {path.name}* aside, set "
        "`since` of each target to a time before the damage and start again: what was issued since "
        "is sent again, byte for byte."
    )


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in STATEMENTS:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    elif version != VERSION:
        raise StorageError(
            f"the outbox {path} has version {version}, this program reads {VERSION}. "
            "Install the newer microscope-edge again, or give another state_dir."
        )
    connection.execute("COMMIT")


def _require_intact(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise damaged(path, found)


def _unusable(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"the outbox {path} cannot be used: {error}. Check space, permissions and disk."
    )
