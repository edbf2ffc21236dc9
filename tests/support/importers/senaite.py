"""SENAITE's import of `2-Dimensional-CSV`, as a model of its rules in two generations.

`READERS` has the reader of senaite.core 2.5 (2024) and its successor (2025). What they lose without
an error is lost here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# Keyword and value; None where the importer would store an empty value.
Values = list[tuple[str, float | str | None]]


@dataclass(slots=True)
class Parsed:
    """What a file gives: values by sample id, in their order, and the errors that it reports."""

    results: dict[str, Values] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def read_2024(content: bytes) -> Parsed:
    """The header is the first line that ends in `end`; each row's last cell is dropped."""
    parsed, keywords = Parsed(), list[str]()
    for cells in _lines(content):
        if not keywords:
            keywords = cells[1:-1] if cells[-1] == "end" else []
        elif cells[0] != "end" and any(cells):
            _take_2024(parsed, keywords, cells)
    return parsed


def _take_2024(parsed: Parsed, keywords: list[str], cells: list[str]) -> None:
    for place, text in enumerate(cells[1:-1]):
        if place >= len(keywords):
            parsed.errors.append(f"orphan value in column {place + 1}")
            return
        keyword = re.sub(r"[^A-Za-z0-9_+.-]", "", keywords[place])
        value = _number_2024(parsed, text)
        parsed.results.setdefault(cells[0], []).append((keyword, value))


def _number_2024(parsed: Parsed, text: str) -> float | None:
    # Empty cells become None, and None is stored all the same.
    if text == "":
        return None
    if text.startswith("--") or text == "ND":
        return 0.0
    try:
        number = float(text)
    except ValueError:
        parsed.errors.append(f"no valid number {text}")
        return None
    # Negative numbers and NaN become 0.
    return number if number > 0 else 0.0


def read_2025(content: bytes) -> Parsed:
    """The header is the first line of the file; values stay text."""
    parsed, keywords = Parsed(), list[str]()
    for number, line in enumerate(_lines(content, keep_blank=True)):
        cells = line[:-1] if line[-1] == "end" else line
        is_empty = not any(cells) or cells[0] == "end"
        if number == 0 and is_empty:
            parsed.errors.append("no header")
            return parsed
        if number == 0:
            keywords = cells[1:]
        elif not is_empty:
            row = zip(keywords, cells[1:], strict=False)
            parsed.results.setdefault(cells[0], []).extend(row)
    return parsed


def _lines(content: bytes, *, keep_blank: bool = False) -> list[list[str]]:
    lines = content.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stripped = [line.strip() for line in lines]
    while stripped and not stripped[-1]:
        stripped.pop()
    kept = stripped if keep_blank else [line for line in stripped if line]
    return [[cell.strip() for cell in line.split(",")] for line in kept]


READERS: Final[Mapping[str, Callable[[bytes], Parsed]]] = {"2024": read_2024, "2025": read_2025}


def files_taken(folder: Path) -> list[Path]:
    """The files that an automatic import reads: without a look at whether they are whole."""
    others = {"imported.csv", "logs.log"}
    names = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in names if path.name not in others]


@dataclass(slots=True)
class Importer:
    """Stores values in samples that wait for results.

    Attributes:
        services: the keywords that each sample waits for.
        overrides: whether a later value replaces an earlier one, which is off by default.
    """

    services: Mapping[str, frozenset[str]]
    overrides: bool = False
    stored: dict[tuple[str, str], float | str | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def take(self, parsed: Parsed) -> None:
        """Store what a file gives."""
        for sample, values in parsed.results.items():
            for keyword, value in values:
                key = (sample, keyword)
                if keyword not in self.services.get(sample, frozenset()):
                    self.warnings.append(f"no analysis {keyword}")
                elif self.overrides or key not in self.stored:
                    self.stored[key] = value
