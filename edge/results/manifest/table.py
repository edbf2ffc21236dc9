"""Reads the CSV that a spreadsheet or a script wrote."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.errors import ConfigError
from edge.text.nearest import nearest

# Rows have all of them if the header has; `note` is for people.
COLUMNS: Final = ("path", "sample_id", "slide_id", "cells", "wbc", "collected", "note")
REQUIRED: Final = ("path", "sample_id")
_DELIMITERS: Final = (";", "\t", ",")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row, as its cells stand in the file.

    Attributes:
        line: number of its last line in the file, from 1.
        cells: by column; missing columns are empty.
        problem: why it cannot be used; None if it can.
    """

    line: int
    cells: dict[str, str]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a manifest, and whether numbers have a decimal comma."""

    rows: tuple[TableRow, ...]
    has_decimal_comma: bool


def read_table(content: bytes) -> Table:
    """The rows of a manifest's content.

    The delimiter is that of the header: a comma, a semicolon, which a spreadsheet in Germany
    writes, or a tab.

    Raises:
        ConfigError: it is no such CSV; the message is one line without the file's name.
    """
    text = _decoded(content)
    delimiter = _delimiter(text)
    if text.startswith("sep="):
        # A hint of Excel to itself; the line stays in the numbers of lines.
        text = "\n" + text.partition("\n")[2]
    rows = list(_records(text, delimiter))
    if not rows:
        raise ConfigError(f"has no header; the first line names columns: {', '.join(COLUMNS)}.")
    header = _header(rows[0][1])
    is_whole = text.endswith(("\n", "\r"))
    found = [_row(line, cells, header) for line, cells in rows[1:]]
    if found and not is_whole:
        # A copy that broke off may have cut an id, which would be another patient's.
        problem = "does not end with a line break, so that it may be cut; end the file with one"
        found[-1] = TableRow(found[-1].line, found[-1].cells, found[-1].problem or problem)
    return Table(tuple(found), has_decimal_comma=delimiter == ";")


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        text = "save it as 'CSV UTF-8', otherwise an id may be read as another one"
        raise ConfigError(f"is not UTF-8: {text}.") from error
    if "\0" in text:
        # What a power cut leaves of a file.
        raise ConfigError("is no CSV: it has zero bytes. Write it again.")
    return text


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    if first.startswith("sep=") and first[4:5] in _DELIMITERS:
        return first[4:5]
    return next((one for one in _DELIMITERS if one in first), ",")


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise ConfigError(f"is no CSV at line {reader.line_num}: {error}. Correct it.") from error


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().casefold().replace(" ", "_") for cell in cells]
    while names and not names[-1]:
        names.pop()
    for number, name in enumerate(names, 1):
        if name not in COLUMNS:
            near = nearest(name, COLUMNS)
            hint = f"did you mean {near}?" if near else f"known are {', '.join(COLUMNS)}."
            # Its name is logged nowhere: without a header, it is a sample's id.
            raise ConfigError(f"has an unknown name in column {number} of its header; {hint}")
    if len(set(names)) < len(names):
        raise ConfigError("has a column twice; leave one.")
    if missing := [name for name in REQUIRED if name not in names]:
        raise ConfigError(f"has no column {missing[0]}; known are {', '.join(COLUMNS)}.")
    return names


def _row(line: int, cells: list[str], header: list[str]) -> TableRow:
    extra = [cell for cell in cells[len(header) :] if cell.strip()]
    found = dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False))
    problem = None
    if extra or len(cells) < len(header):
        # Such as `7,3` without quotes between commas.
        problem = f"has {len(cells)} cells, the header has {len(header)}; quote cells with a comma"
    return TableRow(line, found, problem)
