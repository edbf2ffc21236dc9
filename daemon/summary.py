"""The journal summed up, for `edge-daemon status`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon import journal_sql as sql
from daemon.journal import opened_for_reading

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

    `held_up` counts waiting images that were tried before, by what kept them back;
    `waiting_elsewhere` those that wait in other folders.
    """

    states: dict[str, int]
    statuses: dict[str, int]
    labels: dict[str, int]
    held_up: dict[str, int]
    waiting_elsewhere: int
    last_finished_at: float | None
    oldest_waiting_at: float | None
    rejections: list[Rejection]


def read_summary(state_dir: Path, folders: Iterable[Path]) -> Summary:
    """Sum up what a journal holds of some watch folders, also while a daemon is using it.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    with opened_for_reading(state_dir) as db:
        known = {name: id_ for id_, name in db.execute("SELECT id, folder FROM root").fetchall()}
        ids = [known[name] for name in map(os.fsencode, folders) if name in known]
        asked = {"roots": json.dumps(ids), "limit": _RECENT}
        queries = sql.COUNT_BY.items()
        counts = {name: dict(db.execute(query, asked).fetchall()) for name, query in queries}
        rejections = db.execute(sql.REJECTIONS, asked).fetchall()
        return Summary(
            **counts,
            waiting_elsewhere=db.execute(sql.WAITING_ELSEWHERE, asked).fetchone()[0],
            last_finished_at=db.execute(sql.LAST_FINISHED, asked).fetchone()[0],
            oldest_waiting_at=db.execute(sql.OLDEST_WAITING, asked).fetchone()[0],
            rejections=[Rejection(Path(os.fsdecode(r[0])), *r[1:]) for r in rejections],
        )
