"""Stores the verdict on a claimed image in its row."""

from __future__ import annotations

import sqlite3
import time

from daemon.image.records import Dropped, Finished, Postponed, Unchanged, Verdict
from daemon.journal import rows as take
from daemon.journal import sql
from daemon.journal.changes import doubted_until, next_look_at
from edge.status import Status


def conclude(db: sqlite3.Connection, verdict: Verdict, clock_s: float) -> None:
    """Store one verdict.

    Args:
        db: a connection in a transaction.
        verdict: on an image that is claimed.
        clock_s: monotonic time.
    """
    match verdict:
        case Finished():
            _finish(db, verdict)
        case Unchanged():
            _keep_outcome(db, verdict)
        case Postponed():
            values = (verdict.attempts, verdict.unfinished_since_s, verdict.cause)
            id_ = verdict.image.id
            _wait_again(db, sql.POSTPONE, (clock_s + verdict.delay_s, *values, id_))
        case Dropped():
            _drop(db, verdict.image.id, verdict.state)


def release(db: sqlite3.Connection, id_: int, *, is_interruption: bool) -> None:
    """Set a claimed image of a failed batch to waiting."""
    _wait_again(db, sql.RELEASE, (int(is_interruption), id_))


def _finish(db: sqlite3.Connection, finished: Finished) -> None:
    outcome, decision, now_s = finished.outcome, finished.outcome.decision, time.time()
    reason = str(outcome.reason) if outcome.reason else None
    sha256, id_ = outcome.image.sha256, finished.image.id
    if replaced := db.execute(sql.OTHER_BYTES, (id_, sha256)).fetchone():
        _drop(db, id_, "superseded")
        db.execute(sql.RETIRE, (id_,))
        id_ = take.integer(db.execute(sql.REPLACE, replaced).lastrowid)
    values = (
        str(outcome.status),
        decision.label if decision and outcome.status is Status.LABELLED else None,
        decision.confidence if decision else None,
        reason,
        sha256,
        finished.model.bundle_sha256 if finished.model else None,
        now_s,
        next_look_at(reason, 0, now_s),
    )
    take.require_one(db.execute(sql.FINISH, (*values, id_)).rowcount)


def _keep_outcome(db: sqlite3.Connection, unchanged: Unchanged) -> None:
    id_, now_s = unchanged.image.id, time.time()
    row = db.execute(sql.LOOKED, (id_,)).fetchone()
    take.only(row)
    recheck, reason = take.optional_text(row[0]), take.optional_text(row[1])
    looks, alarms = take.integer(row[2]), take.integer(row[3])
    if recheck == "look":
        looks += 1
    else:
        alarms += 1
    waits = (looks, next_look_at(reason, looks, now_s), alarms, doubted_until(alarms, now_s))
    take.require_one(db.execute(sql.KEEP_OUTCOME, (*waits, id_)).rowcount)


def _wait_again(db: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> None:
    if db.execute(statement, values).rowcount != 1:
        # The file has changed and has a newer row.
        _drop(db, values[-1], "superseded")


def _drop(db: sqlite3.Connection, id_: object, state: str) -> None:
    take.require_one(db.execute(sql.DROP, (state, id_)).rowcount)
