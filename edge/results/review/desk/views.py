"""Slides, cells, notes and signatures in the form of the page's API."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

from edge.results.document.result import CELL_CLASSES, Flag, Person, SlideResult, State
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.review.desk.live import flags_json
from edge.results.review.record.entry import Entry
from edge.results.review.view.looks import Look
from edge.results.review.view.readiness import is_unchanged, may_finish, problems_json
from edge.results.review.view.slide_cells import image_id
from edge.results.review.view.slide_reading import Kind, SlideReading
from edge.results.review.view.view import View
from edge.results.slides.slide import is_rejected
from edge.text.rfc3339 import rfc3339


class Stage(StrEnum):
    """Where a slide is on its way."""

    WAITING = "waiting"
    HELD = "held"
    OPEN = "open"
    BEGUN = "begun"
    FIRST = "first"
    CONSENSUS = "consensus"
    SIGNED = "signed"
    FINAL = "final"
    CORRECTED = "corrected"
    AGAIN = "again"


FINISHED: Final = (Stage.FINAL, Stage.CORRECTED)


def stage_of(view: View) -> Stage:
    """Where the slide is."""
    is_signed = view.needs_reason
    if view.standing.holds:
        return Stage.HELD
    if is_signed:
        return _stage_of_signed(view)
    if view.standing.waits_for is not None:
        return Stage.WAITING
    if view.reading.kind is Kind.CONSENSUS:
        return Stage.CONSENSUS
    if view.reading.readers:
        return Stage.FIRST
    return Stage.BEGUN if view.reading.has_begun else Stage.OPEN


def slide_json(view: View) -> dict[str, Any]:
    """SLIDE of the API."""
    slide, reading, last = view.standing.slide, view.reading, view.last
    cells = view.cells.by_hash.values()
    return {
        "key": view.key,
        "sample_id": slide.sample_id,
        "slide_id": slide.slide_id,
        "stage": str(stage_of(view)),
        "text": _text(view),
        "cells": len(cells),
        "open": len(cells) - len(reading.decided),
        "unidentified": reading.unidentified,
        "unfamiliar": sum(cell.is_familiar is False for cell in cells),
        "rejected": len(slide.rejected()),
        "flags": flags_json(_flags(view)),
        "newest": rfc3339(slide.newest()),
        "signed": _signed(reading, last),
        "revision": view.revision,
        "mine": bool(reading.decided),
    }


def opened_json(view: View) -> dict[str, Any]:
    """A slide with its cells."""
    slide, signature = view.standing.slide, view.reading.signature
    return {
        "slide": slide_json(view),
        "entry": view.entry,
        "revision": view.revision,
        "reading": str(view.reading.kind),
        "cells": cells_json(view),
        "rejected": rejected_json(view),
        **_state_json(view),
        "needs_reason": view.needs_reason,
        "models": [{"name": one.name, "version": one.version} for one in slide.models()],
        "signature": signature_json(signature) if signature and view.reading.is_newest else None,
        "readers": [person_json(one) for one in view.reading.readers],
        "wbc": slide.wbc(),
    }


def entered_json(view: View, touched: Sequence[str] | None, previous: int | None) -> dict[str, Any]:
    """The answer to an entry.

    Args:
        touched: hashes of the cells that it shows; None: all.
        previous: the slide's last entry before this one, so that a page sees whether it missed
            one; None if nothing was appended.
    """
    return {
        "entry": view.entry,
        "previous": previous,
        "cells": cells_json(view, touched),
        **_state_json(view),
    }


def cells_json(view: View, wanted: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """CELL of the API, for all cells or for those with these hashes."""
    chosen = None if wanted is None else set(wanted)
    return [
        _cell_json(one, cell, view.reading)
        for one, cell in view.cells.by_id.items()
        if chosen is None or cell.sha256 in chosen
    ]


def rejected_json(view: View) -> list[dict[str, Any]]:
    """The images without a cell."""
    slide = view.standing.slide
    shown = set(slide.rejected())
    return [
        {"id": image_id(view.key, one), "reason": one.reason, "message": one.message}
        for one in slide.images
        if is_rejected(one) and one.image in shown
    ]


def notes_json(reading: SlideReading) -> list[dict[str, Any]]:
    """The notes of a slide."""
    return [
        {"by": person_json(one.by), "at": rfc3339(one.at), "text": one.text}
        for one in reading.notes
    ]


def signature_json(entry: Entry) -> dict[str, Any]:
    """A signature as the page shows and prints it."""
    return {
        "number": entry.number,
        "hash": entry.hash,
        "by": person_json(entry.by),
        "at": rfc3339(entry.signed_at or entry.at),
        "reason": entry.text or None,
    }


def person_json(person: Person) -> dict[str, str]:
    """A person."""
    return {"id": person.id, "name": person.name}


def report_json(look: Look) -> dict[str, Any]:
    """What belongs to no slide."""
    return {
        "unidentified": [
            {"folder": one.folder, "images": one.images, "reason": one.reason}
            for one in look.unidentified
        ],
        "notes": [one.text for one in look.notes if one.sample_id is None],
    }


def _state_json(view: View) -> dict[str, Any]:
    problems = view.problems()
    return {
        "problems": problems_json(problems),
        "may_finish": may_finish(problems),
        "stands": view.needs_reason and is_unchanged(view.standing, view.reading, view.last),
        "undo": view.reading.undo,
        "notes": notes_json(view.reading),
    }


def _stage_of_signed(view: View) -> Stage:
    if not is_unchanged(view.standing, view.reading, view.last):
        is_begun = view.reading.has_begun and not view.standing.asks
        return Stage.BEGUN if is_begun else Stage.AGAIN
    if view.last is None or view.last.verification is None or _is_pending(view):
        return Stage.SIGNED
    return Stage.FINAL if view.last.state is State.FINAL else Stage.CORRECTED


def _text(view: View) -> str | None:
    standing = view.standing
    if not view.is_written:
        return "its signature is recorded, but not written among the verifications; tried again"
    for reason in (*standing.holds, *standing.asks):
        return reason
    return f"waits for {standing.waits_for}" if standing.waits_for else None


def _signed(reading: SlideReading, last: SlideResult | None) -> dict[str, Any] | None:
    if reading.signature is not None and reading.is_newest:
        at = reading.signature.signed_at or reading.signature.at
        return {"by": person_json(reading.signature.by), "at": rfc3339(at)}
    if last is not None and last.verification is not None:
        verification = last.verification
        return {"by": person_json(verification.by), "at": rfc3339(verification.at)}
    return None


def _flags(view: View) -> Sequence[Flag]:
    """Those of the next result, or of the last one."""
    result = view.standing.drafted or view.last
    return result.differential.flags if result else ()


def _is_pending(view: View) -> bool:
    """Whether a signature waits for `edge-results send` to issue its result."""
    drafted = view.standing.drafted
    return drafted is not None and drafted.verification is not None


def _cell_json(one: str, cell: SidecarCell, reading: SlideReading) -> dict[str, Any]:
    sha256 = str(cell.sha256)
    label = reading.labels[sha256]
    decider = reading.deciders.get(sha256)
    return {
        "id": one,
        "suggested": cell.label,
        "confidence": round(cell.confidence or 0.0, 4),
        "probabilities": [round(cell.probabilities.get(name, 0.0), 4) for name in CELL_CLASSES],
        "label": label,
        "decided": sha256 in reading.decided,
        "changed_by": decider.name if decider and label != cell.label else None,
        "familiar": cell.is_familiar,
        "unfamiliar": cell.unfamiliar,
        "other": reading.others.get(sha256),
    }
