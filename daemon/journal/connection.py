"""One connection to the journal for all threads, and its transactions."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from daemon.journal import rows as take
from daemon.journal import sql
from daemon.journal.file import identities, limit_steps, translated
from daemon.system.clock import Clock
from edge.errors import StorageError
from edge.failpoints import failpoint

# The write-ahead log is cut to this after it grew.
_LONGEST_WAL_BYTES: Final = 16 * 2**20


class JournalConnection:
    """An open journal without a thought about images. Safe to use from any thread.

    One connection behind one lock: SQLite has one writer at a time anyhow, and a claim is
    atomic without a thought about isolation.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._begin_count = limit_steps(connection, path)
        # A long reader lets the log grow; after it the file is cut to this again.
        connection.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")
        self._served: list[int] = []
        self._files: list[tuple[int, int]] | None = None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def check_writable(self) -> None:
        """Write something durably, so that whoever calls this knows that the journal can.

        Raises:
            StorageError: it cannot, or its files are not those that this process has open. What
                it writes would be lost with the last descriptor.
        """
        with self._transaction() as db:
            db.execute(sql.WRITE_PROOF, (time.time(),))
        files = identities(self._path)
        self._files = self._files or files
        if files != self._files:
            raise StorageError(
                f"the journal {self._path} was removed or replaced while this daemon was running. "
                "See that nothing else uses the folder."
            )

    def serve(self, folder: Path) -> int:
        """The number of a watch folder, the same at every start.

        Only images of folders that are served are claimed: those of a folder that was taken
        out of the configuration stay as they are.
        """
        with self._transaction() as db:
            name = os.fsencode(folder)
            db.execute("INSERT OR IGNORE INTO root (folder) VALUES (?)", (name,))
            row = db.execute("SELECT id FROM root WHERE folder = ?", (name,)).fetchone()
            id_ = take.integer(take.only(row))
        self._served.append(id_)
        return id_

    @property
    def _folder_ids(self) -> str:
        """The numbers of the folders that are served, as JSON."""
        return json.dumps(self._served)

    @contextmanager
    def _transaction(
        self, *, immediate: bool = True, durable: bool = True
    ) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Without `durable` it may be lost in a power cut, but not when the process is killed, and not
        once a durable one has followed. That does for what a scan finds again: an image that was
        recorded or claimed and has no outcome.
        """
        with self._lock, translated(self._path):
            self._begin_count()
            if not durable:
                self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
            try:
                yield self._connection
                failpoint("journal.before_commit")
                self._connection.execute("COMMIT")
                failpoint("journal.after_commit")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                if not durable:
                    self._connection.execute("PRAGMA synchronous = FULL")
