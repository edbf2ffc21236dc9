"""A row of the record as it is in the database, right or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from edge.results.review.record.entry import Action, Entry
from edge.results.review.record.entry_json import hash_of
from edge.text.rfc3339 import moment_of

# What a person may take back, and only that person.
_UNDOABLE: Final = (Action.DECIDE, Action.NOTE, Action.FINISH)
# Of a content: its keys are sorted.
_BEGINNING: Final = re.compile(rb'\{"action":"[a-z]+","at":"([^"]+)",')


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is in the database, right or not."""

    number: Any
    hash: Any
    request: Any
    slide_key: Any
    action: Any
    undoes: Any
    content: Any

    def encoded(self) -> bytes:
        """The content.

        Raises:
            ValueError: it is no text.
        """
        if isinstance(self.content, str):
            return self.content.encode()
        raise ValueError("its content is no text")


def time_of(row: Row | None) -> datetime:
    """The time of an entry with its hash; all of a large signature would take too long to read.

    Raises:
        ValueError: it has not.
    """
    found = _BEGINNING.match(row.encoded()) if row else None
    if row is None or found is None or hash_of(row.encoded()) != row.hash:
        raise ValueError("it is missing or does not have its hash")
    return moment_of(found[1].decode())


def misfit_of_target(entry: Entry, target: Entry | None) -> str | None:
    """Why an entry must not name this one in `undoes`; None if it may."""
    if target is None:
        return "it is not there"
    if target.slide_key != entry.slide_key:
        return "it is of another slide"
    if entry.action is Action.WRITTEN:
        return None if target.action is Action.SIGN else "it is no signature"
    if target.by.id != entry.by.id:
        return "it is another person's"
    return None if target.action in _UNDOABLE else f"it is of the action {target.action}"
