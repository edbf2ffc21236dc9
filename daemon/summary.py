"""The journal summed up, for `edge-daemon status`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from daemon import journal_sql as sql
from daemon.journal_file import opened_for_reading

# Rejections that a summary lists.
_RECENT: Final = 10


@dataclass(frozen=True, slots=True)
class Rejection:
    """An image that has no label, and why."""

    folder: Path
    path: bytes
    reason: str
    finished_at: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the journal holds of the folders asked for. Times are seconds since 1970.

    `today` counts outcomes since midnight, local time. `reasons` counts rejections,
    `held_up` waiting images that were
    tried before, by what kept them back; `waiting_elsewhere` those that wait in other folders.
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
    """How many images wait, how many are in hand, and since when the oldest waits.

    Raises:
        StorageError: the journal cannot be read.
    """
    with opened_for_reading(state_dir) as db:
        asked = {"roots": _root_ids(db.execute(sql.ROOTS).fetchall(), folders)}
        waiting, oldest_at = db.execute(sql.QUEUE, asked).fetchone()
        return waiting, db.execute(sql.CLAIMED).fetchone()[0], oldest_at


def read_summary(state_dir: Path, folders: Iterable[Path]) -> Summary:
    """Sum up what a journal holds of some watch folders, also while a daemon is using it.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    with opened_for_reading(state_dir) as db:
        asked = {
            "roots": _root_ids(db.execute(sql.ROOTS).fetchall(), folders),
            "limit": _RECENT,
            "since": _midnight_s(),
        }
        queries = sql.COUNT_BY.items()
        counts = {name: dict(db.execute(query, asked).fetchall()) for name, query in queries}
        rejections = db.execute(sql.REJECTIONS, asked).fetchall()
        return Summary(
            **counts,
            today=dict(db.execute(sql.TODAY, asked).fetchall()),
            waiting_elsewhere=db.execute(sql.WAITING_ELSEWHERE, asked).fetchone()[0],
            last_finished_at=db.execute(sql.LAST_FINISHED, asked).fetchone()[0],
            oldest_waiting_at=db.execute(sql.OLDEST_WAITING, asked).fetchone()[0],
            rejections=[Rejection(Path(os.fsdecode(r[0])), *r[1:]) for r in rejections],
        )


def _root_ids(known: list[tuple[int, bytes]], folders: Iterable[Path]) -> str:
    """The numbers of those folders that the journal knows, as JSON."""
    ids = {name: id_ for id_, name in known}
    return json.dumps([ids[name] for name in map(os.fsencode, folders) if name in ids])


def _midnight_s() -> float:
    now = datetime.now().astimezone()
    return now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
