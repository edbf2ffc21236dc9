"""A person's word about every cell of a slide, and its JSON form."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edge.files.strict_json import parse_json
from edge.results.document.result import CELL_CLASSES, NOT_COUNTED, Person, slide_key
from edge.results.document.strict_fields import StrictFields
from edge.text.rfc3339 import rfc3339

SCHEMA: Final = "edge-verification/1"
# What a person may say of a cell: there is no "unidentified", so every cell is decided.
LABELS: Final = (*CELL_CLASSES, *NOT_COUNTED)


@dataclass(frozen=True, slots=True)
class VerificationFile:
    """Who decided what about which cells.

    Attributes:
        revision: the last issued one when the person verified; 0 if none was issued.
        by: id and name, neither of them blank.
        at: with time zone.
        labels: by the image's SHA-256, one of `LABELS` for every cell of the slide.
        reason: why an earlier final result is corrected, if the person said it.
    """

    sample_id: str
    slide_id: str | None
    revision: int
    by: Person
    at: datetime
    labels: Mapping[str, str]
    note: str = ""
    reason: str | None = None

    @property
    def slide_key(self) -> str:
        """Of the slide that was verified."""
        return slide_key(self.sample_id, self.slide_id)


def verification_to_json(verification: VerificationFile) -> bytes:
    """The file's content, `edge-verification/1`.

    Raises:
        ValueError: `verification_from_json` would refuse it.
    """
    fields = {
        "schema": SCHEMA,
        "sample_id": verification.sample_id,
        "slide_id": verification.slide_id,
        "revision": verification.revision,
        "by": {"id": verification.by.id, "name": verification.by.name},
        "at": rfc3339(verification.at),
        "note": verification.note,
        "reason": verification.reason,
        "cells": [{"sha256": s, "label": v} for s, v in sorted(verification.labels.items())],
    }
    text = json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False)
    content = f"{text}\n".encode()
    verification_from_json(content)
    return content


def verification_from_json(content: bytes) -> VerificationFile:
    """The verification that a file holds.

    Raises:
        ValueError: it is none; the text is short and says why.
    """
    fields = StrictFields(parse_json(content))
    fields.word("schema", (SCHEMA,))
    found = VerificationFile(
        sample_id=fields.text("sample_id"),
        slide_id=fields.or_null("slide_id", fields.text),
        revision=fields.whole("revision"),
        by=_person(fields.inner("by")),
        at=fields.moment("at"),
        note=fields.any_text("note"),
        reason=fields.or_null("reason", fields.text),
        labels=_labels(fields.each("cells", _cell)),
    )
    fields.close()
    return found


def _person(fields: StrictFields) -> Person:
    person = Person(fields.text("id"), fields.text("name"))
    fields.close()
    for value in (person.id, person.name):
        if not value.strip():
            raise ValueError("it names no person")
        if any(unicodedata.category(character) == "Cc" for character in value):
            raise ValueError("the person's id or name has a control character")
    return person


def _cell(fields: StrictFields) -> tuple[str, str]:
    cell = fields.sha256("sha256"), fields.word("label", LABELS)
    fields.close()
    return cell


def _labels(cells: tuple[tuple[str, str], ...]) -> dict[str, str]:
    labels = dict(cells)
    if not cells:
        raise ValueError("it has no cells")
    if len(labels) < len(cells):
        raise ValueError("it names a cell twice")
    return labels
