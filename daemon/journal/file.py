"""The journal's file: makes it private, opens and upgrades it, and translates its errors."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from daemon.journal.check import require_intact
from daemon.journal.rows import DamagedError, integer
from daemon.journal.schema import SCHEMA_VERSION, statements
from edge.database.errors import is_bug, is_damage
from edge.database.file import make_private
from edge.errors import StorageError
from edge.text.printable import printable

Connection: TypeAlias = sqlite3.Connection

NAME: Final = "journal.sqlite3"
# SQLite's own files beside it.
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
# In a damaged file a statement may never end. Reading every row takes about one step of SQLite per
# ten bytes; a statement that takes a hundred times as many is ended.
_STEPS_PER_BYTE: Final = 10
_STEPS_PER_CALL: Final = 1_000_000
_LEAST_STEPS: Final = 20_000_000


def require_journal(state_dir: Path) -> Path:
    """The path of an existing journal.

    Raises:
        StorageError: there is none, or this user may not look at it.
    """
    path = state_dir / NAME
    try:
        path.lstat()
    except FileNotFoundError as error:
        text = "no daemon has used this state_dir yet. Start edge-daemon run or once."
        raise StorageError(f"{path} is not there: {text}") from error
    except OSError as error:
        text = "Run this as root, or as the daemon's user."
        raise StorageError(f"{path}: {error.strerror}. {text}") from error
    return path


@contextmanager
def opened_for_reading(state_dir: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection to a journal, also while a daemon is using it.

    Raises:
        StorageError: there is none, it cannot be read, or it is of another version.
    """
    path = require_journal(state_dir)
    require_files(path)
    with translated(path), closing(_open_for_reading(path)) as connection:
        limit_steps(connection, path)
        yield connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StorageError in place of errors of SQLite, of the system and of damaged rows."""
    try:
        yield
    except (DamagedError, UnicodeError, OverflowError) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise _unusable(path, error) from error
    except sqlite3.Error as error:
        if is_bug(error):
            raise
        raise (_damaged if is_damage(error) else _unusable)(path, error) from error


def require_files(path: Path) -> None:
    """Check that the journal and SQLite's files beside it are files of this user, or missing.

    Raises:
        StorageError: one is something else, such as a FIFO, on which opening would hang.
    """
    for suffix in _SUFFIXES:
        file = path.with_name(path.name + suffix)
        try:
            status = file.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{file}: {error.strerror}. Run as the daemon's user.") from error
        if not stat.S_ISREG(status.st_mode):
            raise StorageError(
                f"{file} is not a regular file. Stop the daemon, remove it and start again."
            )
        if os.geteuid() not in (0, status.st_uid):
            raise StorageError(
                f"{file} belongs to user {status.st_uid}, this is {os.geteuid()}. Run as the "
                "daemon's user, or give the file to it with chown."
            )


def identities(path: Path) -> list[tuple[int, int]]:
    """Device and inode of each file of an open journal; zeros for a missing one.

    Raises:
        StorageError: a file cannot be looked at.
    """
    found = []
    with translated(path):
        for suffix in _SUFFIXES[:-1]:  # "-journal" is not used with a write-ahead log
            try:
                status = path.with_name(path.name + suffix).lstat()
                found.append((status.st_dev, status.st_ino))
            except FileNotFoundError:
                found.append((0, 0))
    return found


def open_for_writing(path: Path, *, may_upgrade: bool = True) -> sqlite3.Connection:
    """Open a journal, or make it; upgrade and check it.

    Raises:
        StorageError: it is damaged, of a newer version, or cannot be opened.
    """
    require_files(path)
    with translated(path):
        _make_private(path)
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            limit_steps(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            # With NORMAL a power cut would lose the last transactions, and outcomes with them.
            connection.execute("PRAGMA synchronous = FULL")
            _bring_up_to_date(connection, path, may_upgrade=may_upgrade)
            require_intact(connection, path.stat().st_size)
        except BaseException:
            connection.close()
            raise
    return connection


def limit_steps(connection: sqlite3.Connection, path: Path) -> Callable[[], None]:
    """End statements that take too many steps; returns a function that restarts the count."""
    calls = 0

    def count() -> bool:
        nonlocal calls
        calls += 1
        steps = calls * _STEPS_PER_CALL
        return steps > _LEAST_STEPS and steps > _STEPS_PER_BYTE * _bytes(path)

    def begin() -> None:
        nonlocal calls
        calls = 0

    connection.set_progress_handler(count, _STEPS_PER_CALL)
    return begin


def _bytes(path: Path) -> int:
    sizes = 0
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            sizes += path.with_name(path.name + suffix).stat().st_size
    return sizes


def _make_private(path: Path) -> None:
    try:
        make_private(path)
    except OSError as error:
        raise StorageError(
            f"the journal {path} cannot be made ({error.strerror}). Check space and permissions."
        ) from error


def _open_for_reading(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        _require_current(_version(connection, path), path)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, *, may_upgrade: bool) -> None:
    if _version(connection, path) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    # Read again, as another process may have upgraded it meanwhile.
    version = _version(connection, path)
    if version and not may_upgrade:
        _require_current(version, path)
    for statement in statements(version):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of an open journal, 0 if it is new.

    Raises:
        StorageError: it is of a newer program.
    """
    version = integer(connection.execute("PRAGMA user_version").fetchone()[0], -(2**31))
    if not 0 <= version <= SCHEMA_VERSION:
        raise StorageError(
            f"the journal {path} has version {version}, this program reads {SCHEMA_VERSION}. "
            "Install the newer microscope-edge again, or give another state_dir."
        )
    return version


def _require_current(version: int, path: Path) -> None:
    if version < SCHEMA_VERSION:
        raise StorageError(
            f"the journal {path} has version {version}, this program reads {SCHEMA_VERSION}. "
            "Restart the daemon, or run edge-daemon once, which upgrades it."
        )


def _unusable(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"the journal {path} cannot be used: {error}. Check space, permissions and disk."
    )


def _damaged(path: Path, error: Exception) -> StorageError:
    # SQLite's message may quote the file's content.
    what = printable(str(error)[:200])
    return StorageError(
        f"the journal {path} is damaged ({what}). Stop the daemon, move {path.name}* aside "
        "and start again: every image is then labelled again and its sidecars are replaced."
    )
