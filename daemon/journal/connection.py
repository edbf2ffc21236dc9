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

# After it grew, the write-ahead log is truncated to this.
_LONGEST_WAL_BYTES: Final = 16 * 2**20


class JournalConnection:
    """An open journal and its transactions. Safe to use from any thread.

    All threads share one connection and one lock. SQLite allows one writer at a time anyway, and so
    no two threads can claim the same image.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection = connection
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._begin_count = limit_steps(connection, path)
        # The log grows while another process reads for long.
        connection.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")
        self._served: list[int] = []
        self._files: list[tuple[int, int]] | None = None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def check_writable(self) -> None:
        """Write to the journal durably, to check that this works.

        Raises:
            StorageError: it fails, or the files were replaced since they were opened, so that
                everything written would be lost.
        """
        with self._transaction() as db:
            db.execute(sql.WRITE_PROOF, (time.time(),))
        files = identities(self.path)
        self._files = self._files or files
        if files != self._files:
            raise StorageError(
                f"the journal {self.path} was removed or replaced while this daemon was running. "
                "Make sure that no other program uses the folder."
            )

    def serve(self, folder: Path) -> int:
        """Serve a watch folder; returns its id, which is the same at every start.

        Only images of served folders are claimed. Those of a folder that was removed from the
        configuration stay as they are.
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
        """The ids of the served folders, as JSON."""
        return json.dumps(self._served)

    @contextmanager
    def _transaction(
        self, *, immediate: bool = True, durable: bool = True
    ) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction.

        Args:
            immediate: lock for writing at once. A transaction that begins by reading cannot write
                any more if `edge-daemon retry` has written since (SQLITE_BUSY_SNAPSHOT).
            durable: whether it survives a power cut. False is enough for what a scan finds again:
                images that are recorded or claimed but have no outcome.
        """
        with self._lock, translated(self.path):
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
