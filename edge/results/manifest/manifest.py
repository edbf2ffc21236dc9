"""One manifest: which rows name an image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.files.safe_open import read_bounded
from edge.results.document.ids import unfit_id
from edge.results.manifest.table import Table, TableRow, read_table
from edge.text.rfc3339 import moment_of
from edge.text.unicode_form import comparable

_LARGEST_BYTES: Final = 16 << 20
# 10^9 per litre. More is a count per microlitre.
_HIGHEST_WBC: Final = 2000.0
_MOST_CELLS: Final = 1_000_000
_WILDCARD: Final = re.compile(r"\*\*/?|\*|\?")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What a row says about the images that it names.

    Attributes:
        path: of an image or folder, or a pattern, relative to the manifest's folder, in NFC.
        cells: images that the analyzer exports for the slide.
        wbc: leukocyte count of the sample, 10^9 per litre.
        collected: when the sample was taken, with time zone.
        problem: why the images that it names must be held; None if it can be used.
    """

    line: int
    path: str
    sample_id: str
    slide_id: str | None
    cells: int | None
    wbc: float | None
    collected: datetime | None
    problem: str | None

    @property
    def is_pattern(self) -> bool:
        """Whether the path has wildcards."""
        return _WILDCARD.search(self.path) is not None

    @property
    def folder(self) -> str:
        """The folder that one slide lies in, as far as the row says it; `.` for the manifest's."""
        names = self.path.split("/")
        fixed = next((i for i, name in enumerate(names) if _WILDCARD.search(name)), len(names))
        return "/".join(names[:fixed]) or "."


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a file, found by an image's path.

    Attributes:
        name: of the file, for messages.
        problem: why the whole file cannot be used; None if it can.
        repeated: lines that say the same as one before them.
        by_path: rows without wildcards.
        patterns: rows with wildcards.
    """

    name: str
    rows: tuple[ManifestRow, ...] = ()
    problem: str | None = None
    repeated: tuple[int, ...] = ()
    by_path: Mapping[str, list[ManifestRow]] = field(default_factory=dict)
    patterns: Sequence[tuple[re.Pattern[str], ManifestRow]] = ()

    def rows_for(self, image: str) -> list[ManifestRow]:
        """The rows that name an image or a folder above it.

        Args:
            image: path relative to the manifest's folder, with `/`.
        """
        path = comparable(image)
        found = [row for place in _places(path) for row in self.by_path.get(place, ())]
        return found + [row for regex, row in self.patterns if regex.fullmatch(path)]


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file; one with a `problem` if it cannot be used."""
    try:
        return parse_manifest(read_bounded(path, _LARGEST_BYTES, follows_links=True), path.name)
    except OSError as error:
        return Manifest(path.name, problem=f"cannot be read: {error.strerror or error}.")


def parse_manifest(content: bytes, name: str) -> Manifest:
    """The manifest that a file holds; one with a `problem` if it cannot be used."""
    try:
        table = read_table(content)
    except ConfigError as error:
        return Manifest(name, problem=str(error))
    rows: dict[tuple[object, ...], ManifestRow] = {}
    repeated = []
    for raw in table.rows:
        row = _row(raw, table)
        says = (row.path, row.sample_id, row.slide_id, row.cells, row.wbc, row.collected)
        if says in rows:
            repeated.append(row.line)
        else:
            rows[says] = row
    by_path: dict[str, list[ManifestRow]] = {}
    for row in rows.values():
        if not row.is_pattern:
            by_path.setdefault(row.path, []).append(row)
    return Manifest(
        name,
        tuple(rows.values()),
        repeated=tuple(repeated),
        by_path=by_path,
        patterns=[(_regex(row.path), row) for row in rows.values() if row.is_pattern],
    )


def _places(path: str) -> Iterator[str]:
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
    yield "."


def _row(raw: TableRow, table: Table) -> ManifestRow:
    values = _Values(raw, has_decimal_comma=table.has_decimal_comma)
    return ManifestRow(
        line=raw.line,
        path=values.path(),
        sample_id=values.id("sample_id", "has no sample_id"),
        slide_id=values.id("slide_id") or None,
        cells=values.cells(),
        wbc=values.wbc(),
        collected=values.collected(),
        # The last argument to be evaluated: it has what the others found.
        problem=values.problem,
    )


class _Values:
    """Takes the values of a row; the first problem is kept, and the value is empty then.

    Problems are logged, and never quote a cell: in a row that is shifted it may be a sample's id.
    """

    def __init__(self, raw: TableRow, *, has_decimal_comma: bool) -> None:
        self._cells = raw.cells
        self._has_decimal_comma = has_decimal_comma
        self.problem = raw.problem

    def path(self) -> str:
        text = comparable(self._cells["path"].strip().replace("\\", "/"))
        is_outside = text.startswith("/") or ".." in text.split("/") or text[1:2] == ":"
        if not text or is_outside:
            self._note("has no path relative to the manifest's folder")
        return "/".join(part for part in text.split("/") if part not in {"", "."}) or "."

    def id(self, column: str, if_empty: str | None = None) -> str:
        text = self._cells[column]
        if not text:
            self._note(if_empty)
        elif problem := unfit_id(text):
            self._note(f"has a {column} that {problem}")
        return text

    def cells(self) -> int | None:
        text = self._cells["cells"].strip()
        if not text:
            return None
        if re.fullmatch(r"\d{1,7}", text, re.ASCII) and 0 < int(text) <= _MOST_CELLS:
            return int(text)
        self._note("has no whole number from 1 in cells")
        return None

    def wbc(self) -> float | None:
        text = self._cells["wbc"].strip()
        if not text:
            return None
        plain = text.replace(",", ".", 1) if self._has_decimal_comma else text
        value = float(plain) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", plain, re.ASCII) else math.nan
        if 0 < value <= _HIGHEST_WBC:
            return value
        self._note(f"has no 10^9 per litre above 0 and at most {_HIGHEST_WBC:g} in wbc")
        return None

    def collected(self) -> datetime | None:
        text = self._cells["collected"].strip()
        if not text:
            return None
        try:
            return moment_of(text)
        except ValueError:
            self._note("has no time such as 2026-11-23T09:14:03+01:00 in collected")
        return None

    def _note(self, problem: str | None) -> None:
        self.problem = self.problem or problem


def _regex(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within a name, `**` does not."""
    parts, end = [], 0
    for match in _WILDCARD.finditer(pattern):
        parts.append(re.escape(pattern[end : match.start()]))
        parts.append({"*": "[^/]*", "?": "[^/]", "**": ".*", "**/": "(?:.*/)?"}[match[0]])
        end = match.end()
    return re.compile("".join(parts) + re.escape(pattern[end:]), re.DOTALL)
