"""The rows of a table that are finished, kept from one run to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from edge.files import atomic

Row = dict[str, Any]
# States of a row: converted is all but its speed.
CONVERTED: Final = "converted"
DONE: Final = "done"
FAILED: Final = "failed"


class Record:
    """The rows of a table in a JSON file, which is written anew after each of them.

    Rows that were made with other settings are left out: they would not be comparable.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self._path, self._settings = path, settings
        self._rows: dict[str, Row] = {}
        if path.is_file():
            kept = json.loads(path.read_text("utf-8"))
            if kept["settings"] == settings:
                self._rows = kept["rows"]

    def keep(self, name: str, row: Row) -> None:
        self._rows[name] = row
        content = {"settings": self._settings, "rows": self._rows}
        atomic.write_file(self._path, json.dumps(content, indent=1).encode())

    def has(self, name: str, states: tuple[str, ...]) -> bool:
        return name in self._rows and self._rows[name]["state"] in states

    def row(self, name: str) -> Row:
        return self._rows[name]

    def rows(self, names: list[str]) -> list[Row]:
        """Those that are there, in the order of `names`."""
        return [self._rows[name] for name in names if name in self._rows]
