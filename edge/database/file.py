"""A file of SQLite: made private, opened, written in transactions."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge.database.errors import is_bug, is_damage
from edge.errors import StorageError
from edge.text.printable import printable


class _Connection(sqlite3.Connection):
    """A connection that knows which file it opened."""

    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """One database, not opened yet.

    Attributes:
        what: for messages, such as "the outbox".
        version: of its tables.
        statements: make them.
        if_damaged: what a person does then, for messages.
        busy_s: longest wait for another process that writes.
        is_checked: whether the whole file is checked when it is opened, which takes a second for
            some hundred megabytes.
    """

    path: Path
    what: str
    version: int
    statements: tuple[str, ...]
    if_damaged: str
    busy_s: float
    is_checked: bool = False

    def open(self) -> sqlite3.Connection:
        """Open it, or make it; its folder must be there.

        Raises:
            StorageError: it is damaged, of another version, or cannot be opened.
        """
        with self.translated():
            make_private(self.path)
            connection = sqlite3.connect(
                self.path, timeout=self.busy_s, isolation_level=None, factory=_Connection
            )
            try:
                connection.place = _place(self.path)
                connection.execute("PRAGMA journal_mode = WAL")
                # With NORMAL a power cut would lose the last transactions.
                connection.execute("PRAGMA synchronous = FULL")
                self._bring_up_to_date(connection)
                if self.is_checked:
                    self._require_intact(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    @contextmanager
    def transaction(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        """One transaction that writes; it is durable at the end of the block."""
        with self.translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._require_in_place(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise StorageError in place of errors of SQLite and of the system."""
        try:
            yield
        except OSError as error:
            raise self._unusable(error) from error
        except sqlite3.Error as error:
            if is_bug(error):
                raise
            raise (self.damaged if is_damage(error) else self._unusable)(error) from error
        except UnicodeDecodeError as error:
            # SQLite's own message quoted bytes of a damaged file that are no text.
            raise self.damaged("it has bytes that are no text") from error

    def damaged(self, error: object) -> StorageError:
        """The error for a damaged file."""
        # SQLite's message may quote the file's content.
        what = printable(str(error)[:200])
        return StorageError(f"{self.what} {self.path} is damaged ({what}). {self.if_damaged}")

    def _unusable(self, error: Exception) -> StorageError:
        return StorageError(
            f"{self.what} {self.path} cannot be used: {error}. Check space, permissions and disk."
        )

    def _require_in_place(self, connection: sqlite3.Connection) -> None:
        """Refuse to write into a file that was removed, or replaced as by a backup.

        SQLite goes on with the file that it opened, and what it writes there is lost.
        """
        if isinstance(connection, _Connection) and _place(self.path) != connection.place:
            raise StorageError(
                f"{self.what} {self.path} was removed or replaced while it was in use. End the "
                "programs that use it, and start them again."
            )

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == 0:
            with self.transaction(connection):
                # Another process may have made them in between.
                if _version(connection) == 0:
                    for statement in self.statements:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {self.version}")
        if (found := _version(connection)) != self.version:
            raise StorageError(
                f"{self.what} {self.path} has version {found}, this program reads {self.version}. "
                "Use the microscope-edge that made it, or give another state_dir."
            )

    def _require_intact(self, connection: sqlite3.Connection) -> None:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise self.damaged(found)


def make_private(path: Path) -> None:
    """Make a file before SQLite does, which would make it readable for everybody.

    SQLite gives its mode to the files beside it. An existing one is not opened, as closing it would
    drop SQLite's locks (see fcntl(2)).

    Raises:
        OSError: it cannot be made, or something else has its name, on which opening would hang.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError("it is no regular file")


def _place(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is no such file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
