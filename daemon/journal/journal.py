"""The journal: one row per image version, in SQLite. The daemon's queue and memory.

A sidecar is durable before its row is marked done. After a crash at any moment a row is either
done, and its sidecar is there, or it is waiting again, and an equal sidecar replaces the first.

Rows are `waiting`, `claimed`, `done`, `gone` (the file was removed before it was labelled) or
`superseded` (the file changed before it was labelled). `is_current` marks the newest row of a path.

A done row is set to waiting when a person asks for it, when the file's times have changed but not
its size, or when the image was rejected and may have been incomplete. It keeps its outcome until
it gets another one.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from daemon.image.records import ClaimedImage, ImageVersion, PastOutcome, Verdict
from daemon.journal import rows as take
from daemon.journal import sql
from daemon.journal.changes import LONGEST_S, STATUSES, Known, Step, next_step
from daemon.journal.file import NAME, open_for_writing
from daemon.journal.outcomes import Outcomes
from daemon.journal.streams import Stream, begin_anew, follow, read_streams
from daemon.journal.verdicts import conclude, release
from daemon.system.clock import Clock
from edge.failpoints import failpoint
from edge.status import Status

# Most images set to be tried at once; others are tried at their own time, within a minute.
_MAX_RETRIED: Final = 20_000


class Journal(Outcomes):
    """An open journal. Every method may be called from any thread."""

    def claims(self) -> list[tuple[int, bytes]]:
        """Watch folder ids and paths of the claimed images."""
        with self._transaction(immediate=False) as db:
            claimed = db.execute(sql.CLAIMS).fetchall()
            return [(take.integer(folder_id), take.path(path)) for folder_id, path in claimed]

    def take_back_claims(self, *, is_interruption: bool) -> None:
        """Set claimed images to waiting; `is_interruption`: they may have ended the process."""
        with self._transaction() as db:
            db.execute(sql.GIVE_UP_CLAIMED)
            db.execute(sql.TAKE_BACK, (int(is_interruption),))
            db.execute(sql.FORGET_TIMES)

    def unknown(self, versions: list[ImageVersion]) -> list[ImageVersion]:
        """Those of `versions` that are new or changed; the last one of each path."""
        with self._transaction(immediate=False) as db:
            return [version for version, _, _ in _changes(db, versions)]

    def known(self, versions: list[ImageVersion]) -> list[ImageVersion]:
        """Those of `versions` that are recorded, whatever their ctime is."""
        with self._transaction(immediate=False) as db:
            of_any_ctime = [replace(version, ctime_ns=None) for version in versions]
            others = {version for version, _, _ in _changes(db, of_any_ctime)}
        return [version for version in versions if version not in others]

    def record_waiting(self, versions: list[ImageVersion], *, is_written: bool = False) -> int:
        """Record files that were seen; returns how many images are waiting because of it.

        Args:
            versions: files that are settled.
            is_written: whether a hint says that they were just written. They are then looked at
                even if their times are unchanged or are ignored.
        """
        if not versions:
            return 0
        with self._transaction(durable=False) as db:
            changes = _changes(db, versions, is_written=is_written)
            now_s = time.time()
            for version, step, known in changes:
                _note(db, version, step, known, now_s)
            failpoint("record.before_commit")
            return sum(step in (Step.RECORD, Step.COMPARE) for _, step, _ in changes)

    def claim(self, limit: int) -> list[ClaimedImage]:
        """Claim up to `limit` waiting images for the calling worker, the oldest first.

        An image whose batch once failed or ended in a crash is claimed alone.
        """
        with self._transaction(durable=False) as db:
            rows = db.execute(sql.WAITING, (self._clock(), self._folder_ids, limit)).fetchall()
            images = [_claimed(row) for row in rows]
            was_interrupted = bool(images) and images[0].interruptions > 0
            images = images[:1] if was_interrupted else [i for i in images if not i.interruptions]
            for image in images:
                take.require_one(db.execute(sql.CLAIM, (image.id,)).rowcount)
            failpoint("claim.before_commit")
            return images

    def has_claimable(self) -> bool:
        """Whether `claim` would give an image now."""
        with self._transaction(immediate=False) as db:
            asked = (self._clock(), self._folder_ids, 1)
            return db.execute(sql.WAITING, asked).fetchone() is not None

    def conclude(self, verdicts: list[Verdict]) -> list[Stream]:
        """Store the verdicts on claimed images, all or none; returns the streams that went on."""
        with self._transaction() as db:
            for verdict in verdicts:
                conclude(db, verdict, self._clock())
            streams = follow(db, verdicts, time.time())
            failpoint("mark.before_commit")
        return streams

    def streams(self) -> list[Stream]:
        """The streams of the served folders that have had a cell."""
        with self._transaction(immediate=False) as db:
            return read_streams(db, self._folder_ids)

    def begin_stream_anew(self, folder_id: int, bundle_sha256: str | None = None) -> None:
        """Forget how far a folder's images have drifted; the hours are kept.

        Args:
            bundle_sha256: of the bundle that judges from now on; None: the same as before.
        """
        with self._transaction() as db:
            begin_anew(db, folder_id, bundle_sha256)

    def release(self, images: list[ClaimedImage], *, is_interruption: bool) -> None:
        """Set the claimed images of a failed batch to waiting."""
        with self._transaction() as db:
            for image in images:
                release(db, image.id, is_interruption=is_interruption)

    def look_again(self, limit: int, until_s: float) -> int:
        """Set rejected images to waiting whose next look is due; returns how many.

        Args:
            limit: most images per folder.
            until_s: due by this time, in seconds since 1970.
        """
        asked = {"until": until_s, "at_latest": time.time() + LONGEST_S, "limit": limit}
        with self._transaction(immediate=False) as db:
            due = [
                take.integer(row[0])
                for folder_id in self._served
                for row in db.execute(sql.DUE_LOOKS, asked | {"folder_id": folder_id}).fetchall()
            ]
        if not due:
            return 0
        with self._transaction() as db:
            # `edge-daemon retry` may have set some to waiting meanwhile.
            return db.executemany(sql.LOOK, [(time.time(), id_) for id_ in due]).rowcount

    def try_refused_now(self) -> None:
        """Let images be tried now that wait because their sidecars could not be written."""
        with self._transaction(durable=False) as db:
            asked = {"now_s": self._clock(), "limit": _MAX_RETRIED}
            db.execute(sql.TRY_REFUSED_NOW, asked)

    def has_open_images(self) -> bool:
        """Whether an image is claimed, or waits and will be tried in this run."""
        with self._transaction(immediate=False) as db:
            return bool(
                take.only(db.execute(sql.HAS_OPEN, {"folder_ids": self._folder_ids}).fetchone())
            )

    def count_open(self) -> int:
        """Number of images that are waiting or claimed."""
        with self._transaction(immediate=False) as db:
            row = db.execute(sql.COUNT_OPEN, {"folder_ids": self._folder_ids}).fetchone()
            return take.integer(take.only(row))


def open_journal(
    state_dir: Path, *, may_upgrade: bool = True, clock: Clock = time.monotonic
) -> Journal:
    """Open the journal of a state folder, or make it.

    Args:
        state_dir: the folder.
        may_upgrade: whether an older journal is upgraded; False while a daemon of that version may
            be running.
        clock: monotonic seconds.

    Raises:
        StorageError: it is damaged, of another version, or cannot be opened.
    """
    path = state_dir / NAME
    connection = open_for_writing(path, may_upgrade=may_upgrade)
    return Journal(connection, path, clock)


def _changes(
    db: sqlite3.Connection, versions: list[ImageVersion], *, is_written: bool = False
) -> list[tuple[ImageVersion, Step, Known | None]]:
    """The versions for which there is something to do, what to do, and the newest row."""
    seen = {(v.folder_id, v.path): v for v in versions}
    known: dict[tuple[int, bytes], Known] = {}
    for folder_id in {v.folder_id for v in versions}:
        paths = [path for folder_id_, path in seen if folder_id_ == folder_id]
        query = sql.KNOWN.format(",".join("?" * len(paths)))
        for row in db.execute(query, (folder_id, *paths)):
            version = seen.get((folder_id, row[0]))
            if version is None:
                raise take.DamagedError("a path was found twice, or was not asked for")
            # In a scan nearly all files are unchanged; this check is ten times as fast.
            if not is_written and _is_as_before(version, row):
                del seen[folder_id, row[0]]
            else:
                known[folder_id, row[0]] = Known.from_row(row[1:])
    now_s = time.time()
    steps = [
        (version, next_step(known.get(key), version, now_s, is_written=is_written), known.get(key))
        for key, version in seen.items()
    ]
    return [one for one in steps if one[1] is not Step.NOTHING]


def _is_as_before(version: ImageVersion, row: tuple[Any, ...]) -> bool:
    facts = (version.size_bytes, version.mtime_ns, version.ctime_ns)
    return facts == row[2:5] and row[5] in ("waiting", "claimed", "done")


def _note(
    db: sqlite3.Connection, version: ImageVersion, step: Step, known: Known | None, now_s: float
) -> None:
    if step is Step.RECORD or known is None:
        place = (version.folder_id, version.path)
        if known is not None:
            db.execute(sql.GIVE_UP_WAITING, place)
            db.execute(sql.SUPERSEDE, place)
        facts = (version.size_bytes, version.mtime_ns, version.ctime_ns)
        db.execute(sql.INSERT, (*place, *facts, now_s))
        return
    times = {"mtime_ns": version.mtime_ns, "ctime_ns": version.ctime_ns, "id": known.id}
    statement = sql.COMPARE if step is Step.COMPARE else sql.NOTE_TIMES
    take.require_one(db.execute(statement, times | {"now": now_s}).rowcount)


def _claimed(row: tuple[Any, ...]) -> ClaimedImage:
    ctime_ns = None if row[5] is None else take.any_integer(row[5])
    version = ImageVersion(
        take.integer(row[1]),
        take.path(row[2]),
        take.integer(row[3]),
        take.any_integer(row[4]),
        ctime_ns,
    )
    return ClaimedImage(
        take.integer(row[0]),
        version,
        take.integer(row[6]),
        take.optional_real(row[7]),
        take.real(row[8]),
        take.integer(row[9]),
        _past_outcome(*row[10:14]) if row[10] is not None else None,
    )


def _past_outcome(recheck: Any, status: Any, reason: Any, sha256: Any) -> PastOutcome:
    take.text(recheck)
    known = Status(take.one_of(status, STATUSES))
    return PastOutcome(known, take.optional_text(reason), take.optional_text(sha256))
