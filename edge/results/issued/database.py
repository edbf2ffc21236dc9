"""The file of the issued results: opened, private, and its errors as ours."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.files.atomic import make_folder, storage_errors
from edge.files.safe_open import open_regular

NAME: Final = "issued.sqlite3"
_VERSION: Final = 1
_BUSY_MS: Final = 10_000
# No statement of this program changes a row. The triggers hold for other programs, too.
_TABLES: Final = """
CREATE TABLE result (
  slide_key TEXT NOT NULL,
  revision INTEGER NOT NULL CHECK (revision >= 1),
  alike TEXT NOT NULL,
  sample_id TEXT NOT NULL,
  document BLOB NOT NULL,
  UNIQUE (slide_key, revision)
) STRICT;
CREATE INDEX result_alike ON result (alike, sample_id);
CREATE TABLE landmark (
  sha256 TEXT NOT NULL, slide_key TEXT NOT NULL, PRIMARY KEY (sha256, slide_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE completion (
  slide_key TEXT PRIMARY KEY, said_at TEXT NOT NULL, said_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER result_stays BEFORE UPDATE ON result
  BEGIN SELECT RAISE(ABORT, 'an issued result never changes'); END;
CREATE TRIGGER result_remains BEFORE DELETE ON result
  BEGIN SELECT RAISE(ABORT, 'an issued result is never deleted'); END;
"""


def open_database(folder: Path) -> sqlite3.Connection:
    """Open the database in a folder, or create both.

    Raises:
        StorageError: it cannot be opened, or another version of this program made it.
    """
    make_folder(folder)
    path = folder / NAME
    with storage_errors("open", path):
        # Ids are patient data: nobody else may read the file. SQLite gives its mode to the others.
        os.close(open_regular(path, os.O_RDWR | os.O_CREAT, 0o600))
    with translated(path):
        connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction that writes; it is durable at the end of the block."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StorageError in place of SQLite's errors."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a bug of this program
    except sqlite3.Error as error:
        text = "Check space, permissions and disk; restore the file from a backup if it is damaged."
        raise StorageError(f"the issued results {path} cannot be used: {error}. {text}") from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # A result that was issued must be known after a power cut: its number is used up.
    connection.execute("PRAGMA synchronous = FULL")
    if _version(connection) == 0:
        with transaction(connection, path):
            # Another process may have made them in between.
            if _version(connection) == 0:
                for statement in _statements():
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
    if (found := _version(connection)) != _VERSION:
        text = f"it has version {found}, this program reads version {_VERSION}"
        raise StorageError(
            f"the issued results {path} cannot be used: {text}. Update this program."
        )


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        return int(cursor.fetchone()[0])


def _statements() -> list[str]:
    # `executescript` would commit the transaction that it stands in.
    found, part = [], ""
    for line in _TABLES.strip().splitlines():
        part += f"{line}\n"
        if sqlite3.complete_statement(part):
            found.append(part)
            part = ""
    return found
