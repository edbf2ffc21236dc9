"""Checks the whole record: every entry, their order, and what stands outside of it.

Anybody who may write the file can compute the whole chain anew. Only an anchor, which was written
down elsewhere, and the verification files show that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.files.safe_open import read_bounded
from edge.results.review.record.anchor import Anchor
from edge.results.review.record.entry import NO_HASH, Action, Entry
from edge.results.review.record.entry_json import entry_of
from edge.results.review.record.record import Record
from edge.results.review.record.row import Row, misfit_of_target
from edge.text.printable import printable

# As of verification files.
_LARGEST_BYTES: Final = 16 << 20


@dataclass(slots=True)
class _Last:
    """What the next entry must follow; `hash` is as stored, so that one change is one problem."""

    number: int = 0
    hash: object = NO_HASH
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """The check of a record.

    Attributes:
        verifications: folder of the verification files; None: they are not looked at.
        anchors: written down earlier.
        told: called with the number of each entry.
    """

    record: Record
    verifications: Path | None = None
    anchors: Sequence[Anchor] = ()
    told: Callable[[int], None] = lambda _number: None

    def problems(self) -> Iterator[str]:
        """A line for each problem, without ids and names; none: all is as it was recorded.

        Memory does not grow with the record.
        """
        last = _Last()
        try:
            if names := self.record.differing():
                yield f"made, changed or removed in the database: {printable(', '.join(names))}"
            if not {"entry", "head"}.isdisjoint(names):
                yield "its tables are not as this program makes them; the entries were not read"
                return
            if found := self.record.inner_problem():
                yield f"SQLite finds the file damaged: {printable(found)}"
            yield from self._entries(last)
        except StorageError:
            yield self._unreadable(last)
        for anchor in self.anchors:
            if anchor.number > last.number:
                yield (
                    f"the record ends with entry {last.number}, the anchor is of entry "
                    f"{anchor.number}: the end is missing"
                )

    def _entries(self, last: _Last) -> Iterator[str]:
        yield from self._rows(self.record.rows(), last)
        while True:
            # Read after the entries: another process may append meanwhile, and what the head names
            # by then is read, too.
            head = self._head()
            before = last.number
            if head and head[0] > before:
                yield from self._rows(self.record.rows(before), last)
            if last.number == before:
                yield from _of_head(head, last)
                return

    def _rows(self, rows: Iterator[Row], last: _Last) -> Iterator[str]:
        for row in rows:
            yield from self._row(row, last)
            self.told(last.number)

    def _row(self, row: Row, last: _Last) -> Iterator[str]:
        name = f"entry {row.number}"
        follows = row.number == last.number + 1
        if not follows:
            yield f"{name}: {_gap(row, last)}"
        entry = _read(row)
        if entry is None:
            yield f"{name}: its content cannot be read"
        else:
            for problem in _of_entry(row, entry, last if follows else None):
                yield f"{name}: {problem}"
            for problem in self._others(entry):
                yield f"{name}: {problem}"
            last.at = entry.at
        for anchor in self.anchors:
            if anchor.number == row.number and not anchor.fits(row.hash):
                yield f"{name}: its hash is not that of the anchor"
        last.number, last.hash = row.number, row.hash

    def _others(self, entry: Entry) -> Iterator[str]:
        """What is wrong with the entry and the file that an entry names."""
        if entry.undoes is None:
            return
        row = self.record.row(entry.undoes)
        target = _read(row) if row else None
        if row and target is None:
            return  # told where it stands
        if problem := misfit_of_target(entry, target):
            yield f"it names entry {entry.undoes}, but {problem}"
        elif entry.action is Action.UNDO:
            if self.record.undone_before(entry.undoes, entry.number):
                yield f"it names entry {entry.undoes}, but that was taken back before"
        elif target and self.verifications and (problem := self._file_problem(entry, target)):
            yield problem

    def _file_problem(self, written: Entry, sign: Entry) -> str | None:
        name = written.verification or ""
        if self.verifications is None or "/" in name or name in {".", ".."} or "\0" in name:
            return "it names no file of verifications"
        try:
            content = read_bounded(self.verifications / name, _LARGEST_BYTES)
        except FileNotFoundError:
            return f"the verification file of signature {sign.number} is missing"
        except (OSError, ValueError):
            return f"the verification file of signature {sign.number} cannot be read"
        if hashlib.sha256(content).hexdigest() != sign.verification:
            return f"the verification file of signature {sign.number} was changed"
        return None

    def _head(self) -> tuple[int, str] | None:
        try:
            return self.record.head()
        except StorageError:
            return None

    def _unreadable(self, last: _Last) -> str:
        """From which entry on the file cannot be read."""
        number = last.number
        try:
            while self.record.row(number + 1):
                number += 1
        except StorageError:
            return f"entry {number + 1}: it and what follows cannot be read, the file is damaged"
        return f"entry {number}: what follows it cannot be read, the file is damaged"


def _read(row: Row) -> Entry | None:
    try:
        return entry_of(row.encoded())
    except ValueError:
        return None


def _gap(row: Row, last: _Last) -> str:
    if row.number < 1:
        return "no entry has such a number"
    first, end = last.number + 1, row.number - 1
    are = f"entry {first} is" if first == end else f"entries {first} to {end} are"
    return f"{are} missing before it"


def _of_entry(row: Row, entry: Entry, last: _Last | None) -> Iterator[str]:
    """What is wrong with an entry; `last` is the one before, None if that is missing."""
    if entry.hash != row.hash:
        yield "its content does not give its hash"
    if entry.number != row.number:
        yield f"its content is that of entry {entry.number}"
    columns = (row.request, row.slide_key, row.action, row.undoes)
    if columns != (entry.request, entry.slide_key, str(entry.action), entry.undoes):
        yield "a column beside the content differs from it"
    if last and entry.previous != last.hash:
        yield "it does not follow from the entry before"
    if last and last.at and entry.at <= last.at:
        yield "its time is not later than that of the entry before"


def _of_head(head: tuple[int, str] | None, last: _Last) -> Iterator[str]:
    if head is None:
        yield "the head of the record is missing or cannot be read"
    elif head[0] > last.number:
        yield f"the record ends with entry {last.number}, its head names entry {head[0]}"
    elif head[0] < last.number:
        yield f"entry {head[0] + 1}: the head of the record names entry {head[0]} as the last"
    elif head[1] != last.hash:
        yield f"entry {head[0]}: the head of the record has another hash"
