"""Counts of the journal, for `edge-daemon status`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from daemon.journal import rows as take
from daemon.journal import sql
from daemon.journal.file import Connection, opened_for_reading

# Rejections that a summary lists.
_RECENT: Final = 10


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected image; `finished_at` in seconds since 1970."""

    folder: Path
    path: bytes
    reason: str
    finished_at: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts for some watch folders. Times are seconds since 1970.

    Attributes:
        states: rows by state.
        statuses: outcomes by status.
        labels: outcomes by label.
        today: outcomes since midnight, local time, by status.
        held_up: waiting images that were tried before, by the cause.
        reasons: rejections by reason code.
        waiting_elsewhere: images that wait in other folders.
        last_finished_at: time of the latest outcome.
        oldest_waiting_at: when the image that waits longest was recorded.
        rejections: the latest ones.
    """

    states: dict[str, int]
    statuses: dict[str, int]
    labels: dict[str, int]
    today: dict[str, int]
    held_up: dict[str, int]
    reasons: dict[str, int]
    waiting_elsewhere: int
    last_finished_at: float | None
    oldest_waiting_at: float | None
    rejections: list[Rejection]


def read_queue(state_dir: Path, folders: Iterable[Path]) -> tuple[int, int, float | None]:
    """How many images wait, how many are claimed, and since when the oldest waits.

    Raises:
        StorageError: the journal cannot be read.
    """
    with opened_for_reading(state_dir) as db:
        asked = {"folder_ids": _folder_ids_of(db, folders)}
        waiting, oldest_at = db.execute(sql.QUEUE, asked).fetchone()
        claimed = take.only(db.execute(sql.CLAIMED).fetchone())
        return take.integer(waiting), take.integer(claimed), take.optional_moment(oldest_at)


def read_summary(state_dir: Path, folders: Iterable[Path]) -> Summary:
    """Count the rows of some watch folders, also while a daemon is using the journal.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    with opened_for_reading(state_dir) as db:
        asked = {
            "folder_ids": _folder_ids_of(db, folders),
            "limit": _RECENT,
            "since": midnight_s(),
        }
        counts = {name: _counts(db, query, asked) for name, query in sql.COUNT_BY.items()}
        elsewhere = take.only(db.execute(sql.WAITING_ELSEWHERE, asked).fetchone())
        last_at = take.only(db.execute(sql.LAST_FINISHED, asked).fetchone())
        oldest_at = take.only(db.execute(sql.OLDEST_WAITING, asked).fetchone())
        return Summary(
            **counts,
            today=_counts(db, sql.TODAY, asked),
            waiting_elsewhere=take.integer(elsewhere),
            last_finished_at=take.optional_moment(last_at),
            oldest_waiting_at=take.optional_moment(oldest_at),
            rejections=[_rejection(row) for row in db.execute(sql.REJECTIONS, asked).fetchall()],
        )


def _counts(db: Connection, query: str, asked: dict[str, Any]) -> dict[str, int]:
    rows = db.execute(query, asked).fetchall()
    return {take.text(what): take.integer(count) for what, count in rows}


def _rejection(row: tuple[Any, ...]) -> Rejection:
    folder, path, reason, finished_at = row
    return Rejection(
        Path(os.fsdecode(take.folder(folder))),
        take.path(path),
        take.text(reason),
        take.moment(finished_at),
    )


def _folder_ids_of(db: Connection, folders: Iterable[Path]) -> str:
    """The ids of those folders that the journal knows, as JSON."""
    known = db.execute(sql.WATCH_FOLDERS).fetchall()
    ids = {take.folder(name): take.integer(id_) for id_, name in known}
    return json.dumps([ids[name] for name in map(os.fsencode, folders) if name in ids])


def midnight_s() -> float:
    """The beginning of today, local time, in seconds since 1970."""
    now = datetime.now().astimezone()
    return now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
