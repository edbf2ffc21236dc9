"""The journal: one row per image version, in SQLite. The queue and the memory of the daemon.

A sidecar is durable before its row is marked done. After a crash at any moment a row is either
done, and its sidecar is there, or it is waiting again, and an equal sidecar replaces the first.

Rows are `waiting`, `claimed`, `done`, `gone` (the file was removed before it was labelled) or
`superseded` (the file changed before it was labelled). `is_current` marks the newest of a path.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from daemon import journal_sql as sql
from daemon.journal_file import NAME, check_version, make_private, translated
from daemon.records import (
    ClaimedImage,
    Dropped,
    Finished,
    ImageVersion,
    OldRow,
    Postponed,
    Verdict,
)
from daemon.settle import Clock
from edge.failpoints import failpoint

# Rejections that are put back in one transaction: a daemon that runs beside must not wait long.
_PAGE: Final = 1000
# Images that are freed at once. Those that are left have their own time, within a minute.
_FREED: Final = 20_000
_LONGEST_WAL_BYTES: Final = 16 * 2**20


class Journal:
    """An open journal. Every method may be called from any thread.

    One connection behind one lock: SQLite has one writer at a time anyhow, and a claim is
    atomic without a thought about isolation.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._served: list[int] = []

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def prove(self) -> None:
        """Write something durably, so that whoever calls this knows that the journal can.

        Raises:
            StorageError: it cannot.
        """
        with self._transaction() as db:
            db.execute(sql.PROVE, (time.time(),))

    def serve(self, folder: Path) -> int:
        """The number of a watch folder, the same at every start.

        Only images of folders that are served are claimed: those of a folder that was taken
        out of the configuration stay as they are.
        """
        with self._transaction() as db:
            name = os.fsencode(folder)
            db.execute("INSERT OR IGNORE INTO root (folder) VALUES (?)", (name,))
            row = db.execute("SELECT id FROM root WHERE folder = ?", (name,)).fetchone()
        self._served.append(int(row[0]))
        return int(row[0])

    def claims(self) -> list[tuple[int, bytes]]:
        """Roots and paths of the images that are claimed."""
        with self._transaction(immediate=False) as db:
            claimed = db.execute("SELECT root, path FROM image WHERE state = 'claimed'").fetchall()
            return [(int(root), bytes(path)) for root, path in claimed]

    def take_back_claims(self, *, is_interruption: bool) -> None:
        """Return claims to waiting: of a process that died, perhaps on account of one of them."""
        with self._transaction() as db:
            db.execute(sql.TAKE_BACK, (int(is_interruption),))
            db.execute(sql.FORGET_TIMES)

    def unknown(self, versions: list[ImageVersion]) -> list[ImageVersion]:
        """Those of `versions` that are not the journal's newest of their path."""
        with self._transaction(immediate=False) as db:
            return _unknown(db, versions)

    def record_waiting(self, versions: list[ImageVersion]) -> int:
        """Add versions that are not known yet; returns how many."""
        if not versions:
            return 0
        with self._transaction(durable=False) as db:
            new = _unknown(db, versions)
            db.executemany(sql.SUPERSEDE, [(v.root, v.path) for v in new])
            now = time.time()
            db.executemany(
                sql.INSERT, [(v.root, v.path, v.size_bytes, v.mtime_ns, now) for v in new]
            )
            failpoint("record.before_commit")
            return len(new)

    def claim(self, limit: int) -> list[ClaimedImage]:
        """Take up to `limit` waiting images, the oldest first, for the calling worker.

        An image whose batch once failed or ended in a crash is given alone.
        """
        # One that reads first fails where `edge-daemon retry` writes before it does.
        with self._transaction(durable=False) as db:
            now_s, served = self._clock(), json.dumps(self._served)
            rows = db.execute(sql.WAITING, (now_s, served, limit)).fetchall()
            was_interrupted = bool(rows) and rows[0][-1] > 0
            rows = rows[:1] if was_interrupted else [row for row in rows if row[-1] == 0]
            db.executemany("UPDATE image SET state = 'claimed' WHERE id = ?", [r[:1] for r in rows])
            failpoint("claim.before_commit")
            return [ClaimedImage(r[0], ImageVersion(*r[1:5]), *r[5:9]) for r in rows]

    def has_claimable(self) -> bool:
        """Whether `claim` would give an image now."""
        with self._transaction(immediate=False) as db:
            asked = (self._clock(), json.dumps(self._served), 1)
            return db.execute(sql.WAITING, asked).fetchone() is not None

    def conclude(self, verdicts: list[Verdict]) -> None:
        """Note what became of claimed images, all or none."""
        with self._transaction() as db:
            for verdict in verdicts:
                self._conclude(db, verdict)
            failpoint("mark.before_commit")

    def release(self, images: list[ClaimedImage], *, is_interruption: bool) -> None:
        """Give back claimed images whose batch failed, perhaps on account of one of them."""
        with self._transaction() as db:
            values = [(int(is_interruption), image.id) for image in images]
            db.executemany(sql.RELEASE, values)

    def try_refused_now(self) -> None:
        """Have images tried now whose sidecars were refused and that wait for a later time."""
        with self._transaction(durable=False) as db:
            asked = {"now_s": self._clock(), "limit": _FREED}
            db.execute(sql.TRY_REFUSED_NOW, asked)

    def has_open_images(self) -> bool:
        """Whether an image is claimed, or waiting for its turn in this run."""
        with self._transaction(immediate=False) as db:
            row = db.execute(sql.HAS_OPEN, {"roots": json.dumps(self._served)}).fetchone()
            return bool(row[0])

    def count_open(self) -> int:
        """Number of images that are waiting or claimed."""
        with self._transaction(immediate=False) as db:
            row = db.execute(sql.COUNT_OPEN, {"roots": json.dumps(self._served)}).fetchone()
            return int(row[0])

    def retry_rejected(
        self,
        *,
        reason: str | None = None,
        is_wanted: Callable[[int, bytes], bool] = lambda _root, _path: True,
    ) -> int:
        """Put rejected images back to waiting, where `is_wanted` of root and path; how many."""
        count, after_s, after = 0, 0.0, 0
        asked = {"until_s": time.time(), "roots": json.dumps(self._served), "limit": _PAGE}
        while True:
            with self._transaction() as db:
                page = asked | {"reason": reason, "after_s": after_s, "after": after}
                rows = db.execute(sql.REJECTED_PAGE, page).fetchall()
                wanted = [(time.time(), id_) for _, id_, *image in rows if is_wanted(*image)]
                db.executemany(sql.RETRY, wanted)
            if not rows:
                return count
            count += len(wanted)
            after_s, after = rows[-1][:2]

    def retry_image(self, root: int, path: bytes) -> bool:
        """Put one image that has an outcome back to waiting; False: it has none."""
        with self._transaction() as db:
            return db.execute(sql.RETRY_PATH, (time.time(), root, path)).rowcount == 1

    def old_rows(self, after: int, until_s: float, limit: int) -> tuple[int, list[OldRow]]:
        """Rows that were over before `until_s`, of the next `limit` rows after `after`.

        Returns:
            The last row looked at, 0 at the end of the journal, and those that are old.
        """
        with self._transaction(immediate=False) as db:
            asked = {"after": after, "until": until_s, "limit": limit}
            rows = db.execute(sql.OLD_ROWS, asked).fetchall()
        old = [OldRow(r[0], r[1], r[2], is_outcome=bool(r[3])) for r in rows if r[4]]
        return (rows[-1][0] if rows else 0), old

    def forget(self, rows: list[OldRow], until_s: float) -> int:
        """Delete those that were over before `until_s` and still are; returns how many."""
        with self._transaction() as db:
            return db.executemany(sql.FORGET, [(row.id, until_s) for row in rows]).rowcount

    def newest_outcome_at(self) -> float | None:
        """When the last outcome was noted, by the clock of that time."""
        with self._transaction(immediate=False) as db:
            at = db.execute(sql.NEWEST).fetchone()[0]
            return None if at is None else float(at)

    def _conclude(self, db: sqlite3.Connection, verdict: Verdict) -> None:
        match verdict:
            case Finished():
                db.execute(sql.FINISH, (*_outcome_columns(verdict), time.time(), verdict.image.id))
            case Postponed():
                next_try_s = self._clock() + verdict.delay_s
                values = (next_try_s, verdict.attempts, verdict.unfinished_since_s, verdict.cause)
                db.execute(sql.POSTPONE, (*values, verdict.image.id))
            case Dropped():
                values_ = (verdict.state, verdict.image.id)
                db.execute("UPDATE image SET state = ? WHERE id = ?", values_)

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


def open_journal(state_dir: Path, *, clock: Clock = time.monotonic) -> Journal:
    """Open the journal of a state folder, making it at the first start.

    Raises:
        StorageError: it is damaged, of a newer version, or the disk refuses.
    """
    path = state_dir / NAME
    with translated(path):
        make_private(path)
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL would lose the last transactions in a power cut, and with them outcomes.
            connection.execute("PRAGMA synchronous = FULL")
            # A long reader lets the log grow; after it the file is cut to this again.
            connection.execute(f"PRAGMA journal_size_limit = {_LONGEST_WAL_BYTES}")
            if check_version(connection, path) == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {sql.SCHEMA} COMMIT;")
            connection.execute(sql.PROOF)
        except BaseException:
            connection.close()
            raise
    return Journal(connection, path, clock)


def _unknown(db: sqlite3.Connection, versions: list[ImageVersion]) -> list[ImageVersion]:
    """One of each path whose newest row differs, or was given up without an outcome."""
    wanted = {(v.root, v.path): v for v in versions}
    for root in {v.root for v in versions}:
        paths = [path for root_, path in wanted if root_ == root]
        query = sql.KNOWN.format(",".join("?" * len(paths)))
        for row in db.execute(query, (root, *paths)):
            version = wanted[root, row[0]]
            if (version.size_bytes, version.mtime_ns) == row[1:]:
                del wanted[root, row[0]]
    return list(wanted.values())


def _outcome_columns(finished: Finished) -> tuple[object, ...]:
    outcome, decision = finished.outcome, finished.outcome.decision
    return (
        str(outcome.status),
        decision.label if decision and decision.is_identified else None,
        decision.confidence if decision else None,
        str(outcome.reason) if outcome.reason else None,
        outcome.image.sha256,
    )
