"""The stream of each watch folder: how far its images have drifted, and the sums of each hour.

A stream goes on in the transaction that concludes its images, so a process that is killed counts
each cell once. Whatever is wrong with these tables, the images are concluded: a state that is
damaged begins anew, and tables that are damaged are left alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon.image.records import Finished, Verdict
from daemon.journal import rows as take
from daemon.journal import sql
from daemon.journal.file import opened_for_reading
from edge.database.errors import is_damage
from edge.trust.drift import HIGHEST, LOWEST, Drift, clipped

if TYPE_CHECKING:
    # Brings NumPy, which `status` does without.
    from edge.trust.familiarity import Familiarity

HOUR_S: Final = 3600
# A quarter of a year, 2,184 rows for a folder: between two visits of the service engineer.
KEPT_WEEKS: Final = 13
_KEPT_HOURS: Final = KEPT_WEEKS * 7 * 24
_LAST_HOUR: Final = take.LAST_MOMENT_S // HOUR_S
# Beyond what a daemon can store for an hour: its cells, and how far a sum is off by rounding.
_MOST_CELLS: Final = 10**9
_ROUNDING: Final = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """How far the images of a watch folder have drifted.

    Attributes:
        folder_id: the journal's id of the watch folder.
        bundle_sha256: of the bundle that judged them.
        drift: the state; None if what was stored is damaged.
        added: cells by which this call let it go on.
    """

    folder_id: int
    bundle_sha256: str
    drift: Drift | None
    added: int = 0


@dataclass(frozen=True, slots=True)
class StreamHour:
    """The cells of one hour that one bundle judged.

    Attributes:
        began_s: the hour's beginning, in seconds since 1970.
        bundle_sha256: of the bundle.
        cells: number of cells.
        shifts: sum of their clipped shifts.
        squares: sum of the squares of those.
        unfamiliar: cells that do not look like the laboratory's own.
        alarmed: cells that came during an alarm.
    """

    began_s: int
    bundle_sha256: str
    cells: int
    shifts: float
    squares: float
    unfamiliar: int
    alarmed: int


@dataclass(frozen=True, slots=True)
class StreamHistory:
    """A watch folder's stream and its hours.

    Attributes:
        folder: the watch folder.
        stream: None before the first cell.
        hours: those with cells, the oldest first.
        damaged_hours: how many are left out, as their values are none that a daemon writes.
    """

    folder: Path
    stream: Stream | None
    hours: tuple[StreamHour, ...] = ()
    damaged_hours: int = 0


def follow(db: sqlite3.Connection, verdicts: Iterable[Verdict], now_s: float) -> list[Stream]:
    """Let the streams go on by the cells among these verdicts; returns those that did.

    Args:
        db: a connection in a transaction.
        verdicts: in the order in which they are concluded.
        now_s: seconds since 1970.
    """
    cells: dict[tuple[int, str], list[Familiarity]] = {}
    for verdict in verdicts:
        if isinstance(verdict, Finished) and verdict.model and verdict.outcome.familiarity:
            key = (verdict.image.version.folder_id, verdict.model.bundle_sha256)
            cells.setdefault(key, []).append(verdict.outcome.familiarity)
    if not cells:
        return []
    db.execute("SAVEPOINT streams")
    try:
        found = [_go_on(db, *key, judged, now_s) for key, judged in cells.items()]
    except sqlite3.Error as error:
        # A full disk stops the images as well, and may have ended the transaction.
        if not (is_damage(error) and db.in_transaction):
            raise
        db.execute("ROLLBACK TO streams")
        found = [Stream(*key, None) for key in cells]
    db.execute("RELEASE streams")
    return found


def read_streams(db: sqlite3.Connection, folder_ids: str) -> list[Stream]:
    """The streams of the folders with these ids, given as JSON."""
    rows = db.execute(sql.STREAMS, {"folder_ids": folder_ids}).fetchall()
    return [_stream(*row) for row in rows]


def begin_anew(db: sqlite3.Connection, folder_id: int, bundle_sha256: str | None = None) -> None:
    """Set the drift of a folder that has a stream to its beginning.

    Args:
        bundle_sha256: of the bundle that judges from now on; None: the same as before.
    """
    row = db.execute(sql.STREAM, (folder_id,)).fetchone()
    if row is not None:
        bundle = bundle_sha256 or _stream(folder_id, *row).bundle_sha256
        db.execute(sql.SET_STREAM, (folder_id, bundle, _text(Drift())))


def read_histories(state_dir: Path, folders: Iterable[Path], from_s: float) -> list[StreamHistory]:
    """The streams of some watch folders, also while a daemon is using the journal.

    Args:
        state_dir: the daemon's.
        folders: the watch folders, in the order of the result.
        from_s: beginning of the earliest hour, in seconds since 1970. Hours after the present
            one, of a clock that was ahead, are left out.

    Raises:
        StorageError: there is no journal, or it cannot be read.
    """
    period = int(from_s // HOUR_S), int(time.time() // HOUR_S)
    with opened_for_reading(state_dir) as db:
        rows = db.execute(sql.WATCH_FOLDERS).fetchall()
        ids = {take.folder(name): take.integer(id_) for id_, name in rows}
        streams = {s.folder_id: s for s in read_streams(db, json.dumps(list(ids.values())))}
        found = []
        for folder in folders:
            id_ = ids.get(os.fsencode(folder), -1)
            rows = db.execute(sql.HOURS, (id_, *period)).fetchall()
            hours = tuple(hour for row in rows if (hour := _hour(row)))
            damaged = len(rows) - len(hours)
            found.append(StreamHistory(folder, streams.get(id_), hours, damaged))
        return found


def _go_on(
    db: sqlite3.Connection,
    folder_id: int,
    bundle_sha256: str,
    cells: Sequence[Familiarity],
    now_s: float,
) -> Stream:
    row = db.execute(sql.STREAM, (folder_id,)).fetchone()
    stored = _stream(folder_id, *row) if row else None
    is_same = stored is not None and stored.bundle_sha256 == bundle_sha256
    drift = (stored.drift if stored and is_same else None) or Drift()
    alarmed = 0
    for cell in cells:
        drift = drift.after(float(cell.shift), now_s)
        alarmed += drift.is_alarm
    db.execute(sql.SET_STREAM, (folder_id, bundle_sha256, _text(drift)))
    shifts = [clipped(float(cell.shift)) for cell in cells]
    sums = {
        "root": folder_id,
        "hour": int(now_s // HOUR_S),
        "bundle_sha256": bundle_sha256,
        "cells": len(cells),
        "shifts": sum(shifts),
        "squares": sum(shift * shift for shift in shifts),
        "unfamiliar": sum(not cell.passes for cell in cells),
        "alarmed": alarmed,
    }
    if db.execute(sql.ADD_TO_HOUR, sums).rowcount == 0:
        db.execute(sql.BEGIN_HOUR, sums)
        db.execute(sql.FORGET_HOURS, {"root": folder_id, "kept": _KEPT_HOURS})
    return Stream(folder_id, bundle_sha256, drift, len(cells))


def _text(drift: Drift) -> str:
    return json.dumps(drift.to_dict(), allow_nan=False)


def _stream(folder_id: Any, bundle: Any, drift: Any) -> Stream:
    """A stored stream, whose texts were read as bytes."""
    id_ = take.integer(folder_id)
    try:
        bundle_sha256 = take.utf8(bundle)
        return Stream(id_, bundle_sha256, Drift.from_dict(json.loads(take.utf8(drift))))
    except take.DamagedError:
        return Stream(id_, "", None)
    except (ValueError, RecursionError):
        return Stream(id_, bundle_sha256, None)


def _hour(row: tuple[Any, ...]) -> StreamHour | None:
    """An hour; None if it is damaged."""
    hour, bundle, cells, shifts, squares, unfamiliar, alarmed = row
    try:
        count = take.integer(cells, 1, _MOST_CELLS)
        return StreamHour(
            take.integer(hour, 0, _LAST_HOUR) * HOUR_S,
            take.utf8(bundle),
            count,
            take.real(shifts, count * LOWEST - _ROUNDING, count * HIGHEST + _ROUNDING),
            take.real(squares, 0.0, count * HIGHEST**2 + _ROUNDING),
            take.integer(unfamiliar, 0, count),
            take.integer(alarmed, 0, count),
        )
    except take.DamagedError:
        return None
