"""The issued results: the last of each slide, and the next one."""

from __future__ import annotations

import heapq
import json
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.database.file import DatabaseFile
from edge.errors import StorageError
from edge.results.document.consistency import inconsistency
from edge.results.document.from_json import from_json
from edge.results.document.ids import alike_form
from edge.results.document.result import SlideResult, State, Verification
from edge.results.document.to_json import to_json
from edge.results.issued.database import issued_file
from edge.text.rfc3339 import moment_of, rfc3339

# What `add` needs to know of the revision before, and of those that others added meanwhile.
_DOCUMENT: Final = "SELECT document FROM result WHERE slide_key = ? AND revision = ?"
# A document has a line for each field. This is near its beginning, unless an id is very long.
_STATE: Final = re.compile(
    rb'^ "state": "(%s)",$' % b"|".join(state.encode() for state in State), re.MULTILINE
)
_BEGINNING_BYTES: Final = 1000
# So many of a result's cells find it again, those with the smallest hashes: all would be 20 million
# rows for 100,000 results.
_LANDMARKS: Final = 4
_LAST: Final = "SELECT document FROM result WHERE slide_key = ? ORDER BY revision DESC LIMIT 1"
# The list is read first, so that each of its cells is looked up by the key.
_WITH: Final = (
    "SELECT DISTINCT slide_key FROM json_each(?) AS wanted"
    " CROSS JOIN landmark ON landmark.sha256 = wanted.value"
)
# Nothing is ever deleted, so that the numbers of rows only grow.
_AFTER: Final = "SELECT rowid, document FROM result WHERE rowid > ? ORDER BY rowid LIMIT ?"


class Issued:
    """Results that left or may have left; closed at the end of a `with` block.

    Every method may raise StorageError. Use it from one thread.

    Attributes:
        path: of the database. An outbox may be kept beside it.
    """

    __slots__ = ("_connection", "_file", "path")

    def __init__(self, file: DatabaseFile, connection: sqlite3.Connection) -> None:
        self._file = file
        self._connection = connection
        self.path = file.path

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the results in a folder; it is created if it is not there."""
        file = issued_file(folder)
        return cls(file, file.open())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def last(self, slide_key: str) -> SlideResult | None:
        """The last revision of a slide; None if nothing of it was issued."""
        with self._file.translated():
            row = self._connection.execute(_LAST, (slide_key,)).fetchone()
        return self._read(row[0]) if row else None

    def get(self, slide_key: str, revision: int) -> SlideResult | None:
        """One revision of a slide; None if it was never issued."""
        content = self._document(slide_key, revision)
        return self._parsed(content) if content is not None else None

    def state(self, slide_key: str, revision: int) -> State | None:
        """The state of one revision, without reading its cells; None if it was never issued."""
        with self._file.translated():
            row = self._connection.execute(_DOCUMENT, (slide_key, revision)).fetchone()
        if row is None:
            return None
        try:
            beginning = zlib.decompressobj().decompress(row[0], _BEGINNING_BYTES)
        except zlib.error as error:
            raise self._file.damaged(error) from error
        if found := _STATE.search(beginning):
            return State(found[1].decode())
        return self._read(row[0]).state

    def revisions(self, slide_key: str) -> Iterator[SlideResult]:
        """All revisions of a slide, from the first."""
        number = 1
        while (result := self.get(slide_key, number)) is not None:
            yield result
            number += 1

    def add(self, result: SlideResult) -> bool:
        """Issue a revision, durably and for ever.

        Returns:
            False if this very document was issued before, so that a caller may repeat the call
            after a crash.

        Raises:
            StorageError: it contradicts itself or the revision before it, or its number was given
                to another document.
        """
        if problem := inconsistency(result):
            raise self._refused(result, problem)
        content = to_json(result)
        with self._file.transaction(self._connection) as db:
            known = self._document(result.slide_key, result.revision)
            if known is not None:
                if known == content:
                    return False
                raise self._refused(result, "that number was given to another document")
            self._require_next(result)
            db.execute(
                "INSERT INTO result (slide_key, revision, alike, sample_id, document)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    *(result.slide_key, result.revision),
                    *(alike_form(result.sample_id), result.sample_id, zlib.compress(content)),
                ),
            )
            landmarks = _landmarks(cell.sha256 for cell in result.cells)
            db.executemany(
                "INSERT OR IGNORE INTO landmark VALUES (?, ?)",
                [(sha256, result.slide_key) for sha256 in landmarks],
            )
        return True

    def newest(self) -> int:
        """The number of the result that was issued last, of any slide; 0 if none was."""
        with self._file.translated():
            (number,) = self._connection.execute("SELECT MAX(rowid) FROM result").fetchone()
        return int(number or 0)

    def after(self, number: int, most: int) -> list[tuple[int, SlideResult]]:
        """The results that were issued after that number, each with its own, in their order."""
        with self._file.translated():
            rows = self._connection.execute(_AFTER, (number, most)).fetchall()
        return [(int(row[0]), self._read(row[1])) for row in rows]

    def index(self) -> list[tuple[int, str, int]]:
        """Number, slide and revision of all results, in the order of their issue."""
        with self._file.translated():
            query = "SELECT rowid, slide_key, revision FROM result ORDER BY rowid"
            rows = self._connection.execute(query).fetchall()
        return [(int(number), str(key), int(revision)) for number, key, revision in rows]

    def alike_samples(self, sample_id: str) -> tuple[str, ...]:
        """Other sample ids with results that a LIS may take for this one."""
        found = "SELECT DISTINCT sample_id FROM result WHERE alike = ? AND sample_id != ?"
        with self._file.translated():
            rows = self._connection.execute(found, (alike_form(sample_id), sample_id)).fetchall()
        return tuple(sorted(str(row[0]) for row in rows))

    def slides_of(self, sample_id: str) -> tuple[str, ...]:
        """The keys of the slides of a sample that have results."""
        found = "SELECT DISTINCT slide_key FROM result WHERE alike = ? AND sample_id = ?"
        with self._file.translated():
            rows = self._connection.execute(found, (alike_form(sample_id), sample_id)).fetchall()
        return tuple(sorted(str(row[0]) for row in rows))

    def slides_with(self, cells: Iterable[str]) -> tuple[str, ...]:
        """The keys of slides with a result of some of these cells, by their hashes.

        Of each result a few cells are known: it is found for certain if all its cells are given.
        """
        with self._file.translated():
            rows = self._connection.execute(_WITH, (json.dumps(list(cells)),)).fetchall()
        return tuple(sorted(str(row[0]) for row in rows))

    def number_of(self, slide_key: str) -> int:
        """The number of the last revision of a slide in the order of issue; 0 if none was."""
        found = "SELECT MAX(rowid) FROM result WHERE slide_key = ?"
        with self._file.translated():
            (number,) = self._connection.execute(found, (slide_key,)).fetchone()
        return int(number or 0)

    def verifications_of(self, slide_key: str) -> tuple[Verification, ...]:
        """The verifications that made results of a slide."""
        results = self.revisions(slide_key)
        return tuple(one.verification for one in results if one.verification)

    def say_complete(self, slide_key: str, *, by: str, at: datetime) -> None:
        """Note an operator's word that no more cells of a slide will come."""
        with self._file.transaction(self._connection) as db:
            values = (slide_key, rfc3339(at), by)
            db.execute("INSERT OR REPLACE INTO completion VALUES (?, ?, ?)", values)

    def said_complete(self, slide_key: str) -> tuple[str, datetime] | None:
        """Who said that a slide is complete, and when; None if nobody did."""
        with self._file.translated():
            found = "SELECT said_by, said_at FROM completion WHERE slide_key = ?"
            row = self._connection.execute(found, (slide_key,)).fetchone()
        return (str(row[0]), moment_of(row[1])) if row else None

    def _require_next(self, result: SlideResult) -> None:
        before = self.last(result.slide_key)
        number = before.revision if before else 0
        if result.revision != number + 1:
            raise self._refused(result, f"the last revision issued is {number}")
        if before and result.completed <= before.completed:
            raise self._refused(result, "it is not completed later than the one before")

    def _document(self, slide_key: str, revision: int) -> bytes | None:
        with self._file.translated():
            row = self._connection.execute(_DOCUMENT, (slide_key, revision)).fetchone()
        return self._unpacked(row[0]) if row else None

    def _read(self, packed: bytes) -> SlideResult:
        return self._parsed(self._unpacked(packed))

    def _unpacked(self, packed: bytes) -> bytes:
        try:
            return zlib.decompress(packed)
        except zlib.error as error:
            raise self._file.damaged(error) from error

    def _parsed(self, content: bytes) -> SlideResult:
        try:
            return from_json(content)
        except ValueError as error:
            raise self._file.damaged(error) from error

    def _refused(self, result: SlideResult, problem: str) -> StorageError:
        name = f"revision {result.revision} of slide {result.slide_key}"
        return StorageError(f"{name} cannot be issued: {problem}. Read what was issued, and retry.")


def _landmarks(cells: Iterable[str]) -> list[str]:
    return heapq.nsmallest(_LANDMARKS, set(cells))
