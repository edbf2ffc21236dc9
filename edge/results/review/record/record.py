"""The record of decisions: one append, and several ways to read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.database.file import DatabaseFile
from edge.errors import ConfigError
from edge.failpoints import failpoint
from edge.results.review.errors import ChangedError
from edge.results.review.record.database import record_file
from edge.results.review.record.entry import Action, Draft, Entry
from edge.results.review.record.entry_json import entry_of, says_the_same, sealed
from edge.results.review.record.row import Row, misfit_of_target, time_of

_COLUMNS: Final = "number, hash, request, slide_key, action, undoes, content"
_LEAST: Final = timedelta(microseconds=1)
# Entries are read in blocks, so that no reading transaction stays open while a caller works. A
# signature of ten thousand cells has 2.4 MB.
_BLOCK: Final = 50


def now() -> datetime:
    """The time, with the machine's offset."""
    return datetime.now().astimezone()


class Record:
    """The record of a state folder; closed at the end of a `with` block.

    Any number of processes may append at once. Every method may raise StorageError. Use it from one
    thread.

    Attributes:
        path: of the database.
    """

    __slots__ = ("_clock", "_db", "_file", "path")

    def __init__(
        self, file: DatabaseFile, connection: sqlite3.Connection, clock: Callable[[], datetime]
    ) -> None:
        self._file = file
        self._db = connection
        # One damaged text must not hide the entries that are read with it.
        self._db.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        self._clock = clock
        self.path = file.path

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], datetime] = now) -> Self:
        """Open the record in a state folder; it is made if it is not there.

        Args:
            clock: gives the time, with time zone.
        """
        file = record_file(folder)
        record = cls(file, file.open(), clock)
        try:
            # Another program's database has no such table.
            record._rows("LIMIT 1")
        except BaseException:
            record.close()
            raise
        return record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def append(self, draft: Draft, expects: int | None = None) -> Entry:
        """Append an entry; it is durable on return.

        Args:
            expects: number of the slide's last entry as the caller knows it.

        Returns:
            The entry. If the same request was recorded before, the entry of then.

        Raises:
            ChangedError: the slide's last entry is another one; nothing was appended.
            ConfigError: the draft is not usable, or its request was recorded with another content.
        """
        with self._file.transaction(self._db) as db:
            if known := self._rows("WHERE request = ?", draft.request):
                return self._as_before(self._entry(known[0]), draft)
            if expects is not None and self.last_number(draft.slide_key) != expects:
                raise ChangedError("The slide was changed by somebody else. Look at it again.")
            number, previous = self.head()
            at = self._time_after(number)
            entry, content = sealed(draft, number + 1, at, previous)
            self._require_target(entry)
            db.execute(
                f"INSERT INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
                (
                    *(entry.number, entry.hash, entry.request, entry.slide_key),
                    *(str(entry.action), entry.undoes, content.decode()),
                ),
            )
            db.execute("UPDATE head SET number = ?, hash = ?", (entry.number, entry.hash))
            failpoint("review.before_commit")
        failpoint("review.after_commit")
        return entry

    def of_slide(self, slide_key: str, after: int = 0) -> list[Entry]:
        """The entries of a slide after that number, in their order."""
        rows = self._rows("WHERE slide_key = ? AND number > ? ORDER BY number", slide_key, after)
        return [self._entry(row) for row in rows]

    def last_number(self, slide_key: str) -> int:
        """The number of a slide's last entry; 0 if it has none."""
        found = "SELECT MAX(number) FROM entry WHERE slide_key = ?"
        with self._file.translated():
            (number,) = self._db.execute(found, (slide_key,)).fetchone()
        return int(number or 0)

    def all(self, after: int = 0) -> Iterator[Entry]:
        """The entries after that number, in their order."""
        return map(self._entry, self.rows(after))

    def open_signatures(self) -> list[Entry]:
        """The signatures whose verification file is not known to be written, in their order."""
        found = (
            "WHERE action = 'sign' AND NOT EXISTS (SELECT 1 FROM entry AS written WHERE "
            "written.undoes = entry.number AND written.action = 'written') ORDER BY number"
        )
        return [self._entry(row) for row in self._rows(found)]

    def signatures(self) -> Iterator[Entry]:
        """All signatures, in their order."""
        last = 0
        while rows := self._rows(
            "WHERE action = 'sign' AND number > ? ORDER BY number LIMIT 20", last
        ):
            yield from map(self._entry, rows)
            last = int(rows[-1].number)

    def last_signatures(self) -> dict[str, tuple[int, int]]:
        """Of each signed slide, by its key: the number of its last signature, and how many."""
        query = (
            "SELECT slide_key, MAX(number), COUNT(*) FROM entry WHERE action = 'sign' "
            "GROUP BY slide_key"
        )
        with self._file.translated():
            return {str(key): (int(n), int(count)) for key, n, count in self._db.execute(query)}

    def slides_with(self, action: Action) -> list[str]:
        """The keys of the slides that have such an entry, in the order of the first."""
        query = (
            "SELECT slide_key FROM entry WHERE action = ? GROUP BY slide_key ORDER BY MIN(number)"
        )
        with self._file.translated():
            return [str(row[0]) for row in self._db.execute(query, (str(action),))]

    def entry(self, number: int) -> Entry | None:
        """The entry with this number; None if there is none."""
        row = self.row(number)
        return self._entry(row) if row else None

    def head(self) -> tuple[int, str]:
        """Number and hash of the last entry; 0 and zeros if there is none."""
        with self._file.translated():
            row = self._db.execute("SELECT number, hash FROM head").fetchone()
        if row is None or not isinstance(row[0], int) or not isinstance(row[1], str):
            raise self._file.damaged("it has no head")
        return row[0], row[1]

    def row(self, number: int) -> Row | None:
        """A row as it is; None if there is none."""
        rows = self._rows("WHERE number = ?", number)
        return rows[0] if rows else None

    def rows(self, after: int | None = None) -> Iterator[Row]:
        """All rows as they are, by their numbers, those after a number if one is given."""
        last = after if after is not None else -(1 << 63)
        is_first = after is None
        while True:
            more = ">=" if is_first else ">"
            rows = self._rows(f"WHERE number {more} ? ORDER BY number LIMIT {_BLOCK}", last)
            yield from rows
            if len(rows) < _BLOCK:
                return
            last, is_first = int(rows[-1].number), False

    def undone_before(self, number: int, by: int) -> bool:
        """Whether an entry was taken back by another one before the entry `by`."""
        found = "WHERE undoes = ? AND action = 'undo' AND number < ? LIMIT 1"
        return bool(self._rows(found, number, by))

    def differing(self) -> list[str]:
        """The tables, indexes and triggers that are not as this program makes them, by name."""
        with self._file.translated():
            found = _structure(self._db)
        with closing(sqlite3.connect(":memory:")) as new:
            for statement in self._file.statements:
                new.execute(statement)
            needed = _structure(new)
        return sorted(name for name in {*found, *needed} if found.get(name) != needed.get(name))

    def inner_problem(self) -> str | None:
        """What SQLite finds wrong with its file; None if nothing is."""
        with self._file.translated():
            (found,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
        return None if found == "ok" else str(found)

    def _rows(self, where: str, *values: object) -> list[Row]:
        with self._file.translated():
            query = f"SELECT {_COLUMNS} FROM entry {where}"  # noqa: S608 - constants
            return [Row(*row) for row in self._db.execute(query, values)]

    def _entry(self, row: Row) -> Entry:
        try:
            entry = entry_of(row.encoded())
        except ValueError as error:
            raise self._file.damaged(f"entry {row.number}: {error}") from error
        if entry.hash != row.hash or entry.number != row.number:
            raise self._file.damaged(f"entry {row.number} does not have its hash")
        return entry

    def _as_before(self, entry: Entry, draft: Draft) -> Entry:
        if says_the_same(entry, draft):
            return entry
        raise ConfigError(
            f"The request was recorded as entry {entry.number} with another content. "
            "Make a new one."
        )

    def _time_after(self, number: int) -> datetime:
        """Now, or a microsecond after that entry, if the clock was set back."""
        at = self._clock()
        if not number:
            return at
        try:
            last = time_of(self.row(number))
        except ValueError as error:
            raise self._file.damaged(f"entry {number}: {error}") from error
        return at if at > last else (last + _LEAST).astimezone(at.tzinfo)

    def _require_target(self, entry: Entry) -> None:
        """Refuse to take back what is not there, is another person's, or was taken back."""
        if entry.undoes is None:
            return
        if problem := misfit_of_target(entry, self.entry(entry.undoes)):
            raise ConfigError(f"entry {entry.undoes} cannot be named: {problem}.")
        if entry.action is Action.UNDO and self.undone_before(entry.undoes, entry.number):
            raise ConfigError(f"entry {entry.undoes} was taken back before. Look again.")


def _structure(db: sqlite3.Connection) -> dict[str, str]:
    query = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    return {str(name): str(sql) for name, sql in db.execute(query)}
