"""The canonical JSON of an entry: the same entry always gives the same bytes, and the same hash."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import fields as fields_of
from datetime import datetime
from typing import Any, Final

from edge.errors import ConfigError
from edge.files.strict_json import parse_json
from edge.results.document.result import Person
from edge.results.document.strict_fields import StrictFields
from edge.results.review.record.entry import Action, CellChange, Draft, Entry
from edge.results.verification.verification_file import LABELS
from edge.text.rfc3339 import rfc3339

SCHEMA: Final = "edge-review/1"
LOGINS: Final = ("pin", "system")
# Ten thousand signed cells take 2.4 MB.
LARGEST_BYTES: Final = 16 << 20
LONGEST_TEXT: Final = 2_000
# Of a signature: all notes of its slide.
LONGEST_NOTE: Final = 20_000
# Of an id or a name; longer than any laboratory's.
LONGEST_ID: Final = 1_000
_SHA256: Final = re.compile("[0-9a-f]{64}")
_LABELS: Final = frozenset({*LABELS, None})
_CELL_KEYS: Final = {"sha256", "suggested", "confidence", "model", "before", "after"}


def sealed(draft: Draft, number: int, at: datetime, previous: str) -> tuple[Entry, bytes]:
    """The entry of a draft, and the content that it is kept as, whose SHA-256 is its hash.

    Raises:
        ConfigError: a part is missing, too long or of a wrong form.
    """
    try:
        fields = _draft_fields(draft)
        fields |= {"number": number, "at": rfc3339(at), "previous": previous}
        content = _canonical(fields)
        entry = entry_of(content)
    except ValueError as error:
        # The error of an encoder quotes the text, which may be a patient's.
        why = "a text is no Unicode" if isinstance(error, UnicodeError) else error
        raise ConfigError(f"the entry cannot be recorded: {why}. Correct it.") from error
    if len(content) > LARGEST_BYTES:
        raise ConfigError(
            f"the entry has {len(content)} bytes, at most {LARGEST_BYTES} are recorded. "
            "Decide fewer cells at once."
        )
    return entry, content


def entry_of(content: bytes) -> Entry:
    """The entry that a content holds.

    Raises:
        ValueError: it is none; the text is short and says why.
    """
    fields = StrictFields(parse_json(content))
    fields.word("schema", (SCHEMA,))
    entry = Entry(
        number=fields.whole("number", low=1),
        at=fields.moment("at"),
        previous=fields.sha256("previous"),
        hash=hash_of(content),
        request=_request(fields),
        slide_key=_id(fields, "slide_key"),
        sample_id=_id(fields, "sample_id"),
        slide_id=fields.or_null("slide_id", lambda key: _id(fields, key)),
        revision=fields.whole("revision"),
        by=_person(fields.inner("by")),
        login=fields.word("login", LOGINS),
        action=fields.word("action", Action),
        cells=tuple(_cell(one, number) for number, one in enumerate(fields.items("cells"))),
        undoes=fields.or_null("undoes", lambda key: fields.whole(key, low=1)),
        text=fields.any_text("text"),
        differential=fields.or_null("differential", fields.mapping),
        verification=fields.or_null("verification", lambda key: _id(fields, key)),
        signed_at=fields.or_null("signed_at", fields.moment),
        note=fields.any_text("note"),
    )
    fields.close()
    if problem := _misfit(entry):
        raise ValueError(problem)
    return entry


def hash_of(content: bytes) -> str:
    """The hash of an entry; the content holds the hash of the entry before."""
    return hashlib.sha256(content).hexdigest()


def says_the_same(entry: Entry, draft: Draft) -> bool:
    """Whether an entry was made of this very draft."""
    of_entry = {one.name: getattr(entry, one.name) for one in fields_of(Draft)}
    return _canonical(_draft_fields(Draft(**of_entry))) == _canonical(_draft_fields(draft))


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(
        fields, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()


def _draft_fields(draft: Draft) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "request": draft.request,
        "slide_key": draft.slide_key,
        "sample_id": draft.sample_id,
        "slide_id": draft.slide_id,
        "revision": draft.revision,
        "by": {"id": draft.by.id, "name": draft.by.name},
        "login": draft.login,
        "action": str(draft.action),
        "cells": [
            {
                "sha256": cell.sha256,
                "suggested": cell.suggested,
                "confidence": float(cell.confidence),
                "model": cell.model,
                "before": cell.before,
                "after": cell.after,
            }
            for cell in draft.cells
        ],
        "undoes": draft.undoes,
        "text": draft.text,
        "differential": None if draft.differential is None else dict(draft.differential),
        "verification": draft.verification,
        "signed_at": rfc3339(draft.signed_at) if draft.signed_at else None,
        "note": draft.note,
    }


def _request(fields: StrictFields) -> str:
    text = fields.text("request")
    if len(text) == 32 and set(text) <= set("0123456789abcdef"):
        return text
    raise ValueError("request is no 32 hexadecimal digits in lower case")


def _id(fields: StrictFields, key: str) -> str:
    text = fields.text(key)
    if len(text) > LONGEST_ID:
        raise ValueError(f"{key} has {len(text)} characters, at most {LONGEST_ID} are recorded")
    return text


def _person(fields: StrictFields) -> Person:
    person = Person(_id(fields, "id"), _id(fields, "name"))
    fields.close()
    for value in (person.id, person.name):
        if not value.strip():
            raise ValueError("it names no person")
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise ValueError("the person's id or name has a control character")
    return person


def _cell(value: Any, number: int) -> CellChange:
    """A cell: most of a record, for which the strict reader is several times too slow.

    Raises:
        ValueError: as the strict reader says it.
    """
    if isinstance(value, dict) and value.keys() == _CELL_KEYS and _is_cell(value):
        return CellChange(**value)
    return _strict_cell(StrictFields(value, f"cells[{number}]"))


def _is_cell(value: dict[str, Any]) -> bool:
    try:
        return (
            value["after"] in _LABELS
            and value["before"] in _LABELS
            and value["suggested"] in _LABELS
            and _SHA256.fullmatch(value["sha256"]) is not None
            and _SHA256.fullmatch(value["model"]) is not None
            and isinstance(value["confidence"], float)
            and 0 <= value["confidence"] <= 1
        )
    except TypeError:
        return False


def _strict_cell(fields: StrictFields) -> CellChange:
    cell = CellChange(
        sha256=fields.sha256("sha256"),
        suggested=_label(fields, "suggested"),
        confidence=fields.number("confidence", high=1),
        model=fields.sha256("model"),
        before=_label(fields, "before"),
        after=_label(fields, "after"),
    )
    fields.close()
    return cell


def _label(fields: StrictFields, key: str) -> str | None:
    found: str | None = fields.or_null(key, lambda key: fields.word(key, LABELS))
    return found


def _misfit(entry: Entry) -> str | None:
    """Which part the action lacks, or what contradicts it; None if nothing does."""
    does = entry.action
    is_sign = does is Action.SIGN
    undoes = entry.undoes
    wrong = {
        "it names a cell twice": len({cell.sha256 for cell in entry.cells}) < len(entry.cells),
        f"text has {len(entry.text)} characters, at most {LONGEST_TEXT} are recorded": (
            len(entry.text) > LONGEST_TEXT
        ),
        f"note has {len(entry.note)} characters, at most {LONGEST_NOTE} are recorded": (
            len(entry.note) > LONGEST_NOTE
        ),
        "it has no cells": does in (Action.DECIDE, Action.SIGN) and not entry.cells,
        "the note is empty": does is Action.NOTE and not entry.text.strip(),
        "a signed cell has no label": is_sign and any(c.after is None for c in entry.cells),
        "a signature has a differential, and nothing else has one": (
            is_sign != (entry.differential is not None)
        ),
        "a signature and what is written have a verification, and nothing else has one": (
            (does in (Action.SIGN, Action.WRITTEN)) != (entry.verification is not None)
        ),
        "a signature has signed_at, and nothing else has it": (
            is_sign != (entry.signed_at is not None)
        ),
        "a signature alone has a note of its own": bool(entry.note) and not is_sign,
        "verification is no SHA-256": is_sign and not _is_hash(entry.verification),
        "an undo and what is written name an entry, and nothing else does": (
            (does in (Action.UNDO, Action.WRITTEN)) != (undoes is not None)
        ),
        "undoes names no earlier entry": undoes is not None and undoes >= entry.number,
    }
    return next((text for text, is_wrong in wrong.items() if is_wrong), None)


def _is_hash(text: str | None) -> bool:
    return text is not None and len(text) == 64 and set(text) <= set("0123456789abcdef")
