"""One entry of the record: what a person did with cells of a slide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from edge.results.document.result import Person

# The hash before the first entry's.
NO_HASH: Final = "0" * 64


class Action(StrEnum):
    """What a person did; `written`: the program has written a signature's verification file."""

    DECIDE = "decide"
    UNDO = "undo"
    NOTE = "note"
    FINISH = "finish"
    SIGN = "sign"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class CellChange:
    """What an entry says of one cell.

    Attributes:
        sha256: of the image file.
        suggested: the model's label; None if it identified none.
        confidence: of the model's most probable class, 0 to 1.
        model: SHA-256 of the model's bundle.
        before: the label that the person saw: a class, artefact or other; None for unidentified.
        after: the label that the person gave; None where an undo makes it unidentified again.
    """

    sha256: str
    suggested: str | None
    confidence: float
    model: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has its number, time and hash.

    Attributes:
        request: 32 hexadecimal digits that the page made up: the same one is appended once.
        slide_id: None if the sample has one slide without an id of its own.
        revision: the last issued one that the person saw; 0 if none was issued.
        login: how the person was known: "pin" or "system".
        cells: of a signature, every cell of the slide.
        undoes: number of the entry that is taken back; of `written`, of the signature.
        text: a note, or the reason of a correction.
        differential: of a signature: as it was signed.
        verification: of a signature, the SHA-256 of the verification file; of `written`, the
            file's name.
        signed_at: of a signature: the time in the verification file, with time zone. With `note`
            the file can be written again after a crash, byte for byte.
        note: of a signature: the note in the verification file.
    """

    request: str
    slide_key: str
    sample_id: str
    slide_id: str | None
    revision: int
    by: Person
    login: str
    action: Action
    cells: tuple[CellChange, ...] = ()
    undoes: int | None = None
    text: str = ""
    differential: Mapping[str, Any] | None = None
    verification: str | None = None
    signed_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Draft):
    """An entry of the record; it never changes.

    Attributes:
        number: 1, 2 and so on, over all slides.
        at: with time zone, later than that of the entry before.
        previous: hash of the entry before; 64 zeros for the first.
        hash: SHA-256 of the content, which holds `previous`, in hexadecimal digits.
    """

    number: int
    at: datetime
    previous: str
    hash: str
