"""What the journal holds of an image."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from daemon.health.outcome_counts import OutcomeCounts
from daemon.startup import opened_service
from tests.support.site import Site


def once(site: Site) -> OutcomeCounts:
    with opened_service(site.config(), is_once=True) as service:
        assert service.once(lambda: None) == 0
        return service.outcome_counts


def counts(outcome_counts: OutcomeCounts) -> dict[str, float]:
    found = outcome_counts.to_dict()
    return {name: found[name] for name in ("labelled", "rejected", "unchanged") if found[name]}


def row(site: Site, what: str) -> Any:
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        rows = db.execute(f"SELECT {what} FROM image").fetchall()  # noqa: S608
    if not rows:
        return None
    assert len(rows) == 1
    return rows[0][0] if len(rows[0]) == 1 else rows[0]
