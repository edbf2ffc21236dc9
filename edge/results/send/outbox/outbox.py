"""The durable outbox: what is queued for each target, in which order, and what became of it.

A row is queued with the exact bytes to send. It is `sending` from before the first byte leaves
until its end is known. After a kill in between it is queued again with the same bytes, so that a
receiver which has it already can tell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from edge.errors import ConfigError
from edge.failpoints import failpoint
from edge.results.send.outbox.entry import Begun, Entry, NewEntry, Stage
from edge.results.send.outbox.file import outbox_file
from edge.results.send.outbox.schema import COLUMNS, DUE, NEXT_TRY

_OPEN: Final = "('queued', 'sending', 'held')"


class Outbox:
    """The outbox of one configuration; closed at the end of a `with` block.

    Every method raises StorageError if the database is damaged or its disk refuses.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = outbox_file(state_dir)
        self._db = self._file.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def begin_target(self, name: str, new: Begun) -> None:
        """Begin a target; of one that has begun, only the kind is changed."""
        with self._change() as db:
            db.execute(
                "INSERT INTO target VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind",
                (name, new.position, new.began, new.kind),
            )

    def begun(self) -> dict[str, Begun]:
        """The targets that have begun, by name."""
        rows = self._rows("SELECT name, position, began, kind FROM target")
        return {str(n): Begun(int(p), int(b), str(k)) for n, p, b, k in rows}

    def given(self) -> set[tuple[str, int]]:
        """The results that some target was given: key of the slide, and revision."""
        query = "SELECT DISTINCT slide_key, revision FROM message"
        return {(str(key), int(revision)) for key, revision in self._rows(query)}

    def queue(self, target: str, entries: Iterable[NewEntry], position: int) -> None:
        """Queue results in this order, and note how many were looked at, in one step.

        One that was queued before stays as it is; one without content is held.
        """
        with self._change() as db:
            for new in entries:
                stage = Stage.HELD if new.content is None else Stage.QUEUED
                db.execute(
                    "INSERT OR IGNORE INTO message (target, result_id, sample_id, slide_key, "
                    "revision, state, name, content, told, stage, changed) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(target, new.result_id, new.sample_id, new.slide_key, new.revision),
                        *(new.state, new.name, new.content, new.told, stage, _now()),
                    ),
                )
            db.execute("UPDATE target SET position = ? WHERE name = ?", (position, target))

    def released_without_content(self, target: str) -> list[Entry]:
        """Those that a format could not carry and a person wants to be tried again."""
        query = (
            f"SELECT {COLUMNS} FROM message WHERE target = ? AND stage = 'queued' "  # noqa: S608 - constants
            "AND content IS NULL ORDER BY id"
        )
        return self._entries(query, (target,))

    def fill(self, entry: Entry, content: bytes | None, told: str = "") -> None:
        """Give an entry its bytes; without any it is held again."""
        with self._change() as db:
            db.execute("UPDATE message SET content = ? WHERE id = ?", (content, entry.id))
        if content is None:
            self.hold(entry, told)

    def take_back(self) -> int:
        """Queue again what a killed process was sending; returns how many.

        Delays end, too: their times are of a clock that begins anew with the machine.
        """
        with self._change() as db:
            db.execute("UPDATE message SET next_try_s = 0 WHERE stage = 'queued'")
            query = "UPDATE message SET stage = 'queued' WHERE stage = 'sending'"
            return db.execute(query).rowcount

    def next_due(self, target: str, now_s: float) -> Entry | None:
        """What is sent next to a target; None if nothing is due.

        Those that failed come after the others, so that one bad message delays no other sample.
        """
        found = self._entries(DUE, {"target": target, "now_s": now_s})
        return found[0] if found else None

    def next_try_s(self, target: str) -> float | None:
        """When the next one is due, by the monotonic clock; None if nothing can be sent."""
        ((found,),) = self._rows(NEXT_TRY, {"target": target})
        return found if found is None else float(found)

    def begin(self, entry: Entry) -> bytes | None:
        """Mark that an attempt begins; returns the bytes to send, or None if it was given up."""
        with self._change() as db:
            query = (
                "UPDATE message SET stage = 'sending', attempts = attempts + 1 "
                "WHERE id = ? AND stage = 'queued'"
            )
            is_queued = db.execute(query, (entry.id,)).rowcount
        if not is_queued:
            return None
        ((content,),) = self._rows("SELECT content FROM message WHERE id = ?", (entry.id,))
        if not isinstance(content, bytes):
            raise self._file.damaged(f"message {entry.id} has no bytes")
        return content

    def done(self, entry: Entry, told: str) -> None:
        """The receiver has it."""
        self._set(entry.id, Stage.ACKED, told)

    def try_again(
        self,
        entry: Entry,
        next_try_s: float,
        told: str,
        detail: str = "",
        *,
        is_failure: bool = False,
    ) -> None:
        """Queue it again, for a later time of the monotonic clock."""
        with self._change() as db:
            db.execute(
                "UPDATE message SET stage = 'queued', told = ?, detail = ?, next_try_s = ?, "
                "failures = failures + ? WHERE id = ?",
                (told, detail, next_try_s, is_failure, entry.id),
            )

    def hold(self, entry: Entry, told: str, detail: str = "") -> None:
        """Hold it until a person has looked; later results of the sample wait for it."""
        self._set(entry.id, Stage.HELD, told, detail)

    def release(self, id_: int) -> Entry:
        """Queue a held one again.

        Raises:
            ConfigError: there is none of this id that is held.
        """
        return self._decide(id_, Stage.QUEUED, "released by a person")

    def give_up(self, id_: int, reason: str, *, also_queued: bool = False) -> Entry:
        """Send one no more; later results of the sample no longer wait for it.

        Args:
            id_: of the one.
            reason: why, and who decided.
            also_queued: whether it may be queued, as nobody sends to its target any more.

        Raises:
            ConfigError: there is none of this id that is held.
        """
        stages = (Stage.HELD, Stage.QUEUED) if also_queued else (Stage.HELD,)
        return self._decide(id_, Stage.GIVEN_UP, f"given up: {reason}", stages)

    def is_overtaken(self, entry: Entry) -> bool:
        """Whether its target has a later revision of the same slide."""
        query = (
            "SELECT 1 FROM message WHERE target = ? AND slide_key = ? AND revision > ? "
            "AND stage = 'acked' LIMIT 1"
        )
        return bool(self._rows(query, (entry.target, entry.slide_key, entry.revision)))

    def entry(self, id_: int) -> Entry | None:
        """One of them; None if there is none of this id."""
        found = self._entries(f"SELECT {COLUMNS} FROM message WHERE id = ?", (id_,))  # noqa: S608 - constants
        return found[0] if found else None

    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows each target has in each stage."""
        found: dict[str, dict[str, int]] = {
            name: {} for (name,) in self._rows("SELECT name FROM target")
        }
        query = "SELECT target, stage, COUNT(*) FROM message GROUP BY target, stage"
        for target, stage, count in self._rows(query):
            found.setdefault(target, {})[stage] = count
        return found

    def open_entries(self, most: int) -> list[Entry]:
        """The oldest that are queued, on their way or held; held ones first."""
        query = (
            f"SELECT {COLUMNS} FROM message WHERE stage IN {_OPEN} "  # noqa: S608 - constants
            "ORDER BY stage <> 'held', id LIMIT ?"
        )
        return self._entries(query, (most,))

    def forget_contents(self, keep_days: float) -> None:
        """Drop the bytes of what was done so long ago. The rows stay: nothing is sent twice."""
        before = (datetime.now(UTC) - timedelta(days=keep_days)).isoformat(timespec="seconds")
        with self._change() as db:
            db.execute(
                "UPDATE message SET content = NULL WHERE content IS NOT NULL AND changed < ? "
                "AND stage IN ('acked', 'given_up')",
                (before,),
            )

    def _set(self, id_: int, stage: Stage, told: str, detail: str = "") -> None:
        with self._change() as db:
            query = "UPDATE message SET stage = ?, told = ?, detail = ?, changed = ? WHERE id = ?"
            db.execute(query, (stage, told, detail, _now(), id_))

    def _decide(
        self, id_: int, stage: Stage, told: str, of: Sequence[Stage] = (Stage.HELD,)
    ) -> Entry:
        changed = 0
        with self._change() as db:
            for now in of:
                changed += db.execute(
                    "UPDATE message SET stage = ?, told = ?, detail = '', failures = 0, "
                    "next_try_s = 0, changed = ? WHERE id = ? AND stage = ?",
                    (stage, told, _now(), id_, now),
                ).rowcount
        entry = self.entry(id_)
        if not changed or entry is None:
            raise ConfigError(
                f"no held result has the number {id_}. `edge-results send --status` lists them."
            )
        return entry

    def _entries(self, query: str, values: Any = ()) -> list[Entry]:
        try:
            return [_entry(*row) for row in self._rows(query, values)]
        except (ValueError, TypeError) as error:
            raise self._file.damaged(error) from error

    def _rows(self, query: str, values: Any = ()) -> list[Any]:
        with self._file.translated():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one durable transaction."""
        with self._file.transaction(self._db) as db:
            yield db
            failpoint("send.before_commit")
        failpoint("send.after_commit")


def _entry(*columns: Any) -> Entry:
    id_, target, result_id, sample_id, slide_key, revision, state, name, stage, *rest = columns
    attempts, failures, told, detail, changed = rest
    return Entry(
        id=int(id_),
        target=str(target),
        result_id=str(result_id),
        sample_id=str(sample_id),
        slide_key=str(slide_key),
        revision=int(revision),
        state=str(state),
        name=str(name),
        stage=Stage(stage),
        attempts=int(attempts),
        failures=int(failures),
        told=str(told),
        detail=str(detail),
        changed=str(changed),
    )


def _now() -> str:
    """The time in UTC, so that times compare as texts."""
    return datetime.now(UTC).isoformat(timespec="seconds")
