"""Entries of the record of reviews for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from edge.results.document.result import Person, slide_key
from edge.results.review.record.entry import Action, CellChange, Draft

PERSON = Person("mm", "Dr. Mina Müller")
SECOND = Person("kk", "Kōji Kaneko 金子")
MODEL = "b" * 64
SAMPLE = "S000123"
START = datetime(2026, 11, 23, 9, 14, 3, 131000, tzinfo=UTC)

_requests = count(1)


def request() -> str:
    """One that no other call gave."""
    return f"{next(_requests):032x}"


def sha(number: int | str) -> str:
    return hashlib.sha256(f"cell {number}".encode()).hexdigest()


def change(
    number: int | str,
    before: str | None = "neutrophil",
    after: str | None = "neutrophil",
    *,
    suggested: str | None = "",
    confidence: float = 0.93,
    model: str = MODEL,
) -> CellChange:
    """A cell; the model's label is the one before, unless it is given."""
    label = before if suggested == "" else suggested
    return CellChange(sha(number), label, confidence, model, before, after)


def draft(
    action: Action = Action.DECIDE,
    *,
    sample: str = SAMPLE,
    slide: str | None = None,
    by: Person = PERSON,
    cells: Sequence[CellChange] = (),
    undoes: int | None = None,
    text: str = "",
    verification: str | None = None,
    differential: Mapping[str, object] | None = None,
) -> Draft:
    """A draft that fits its action; a decision has one cell."""
    if action is Action.DECIDE and not cells:
        cells = (change(1, None, "lymphocyte"),)
    if action is Action.SIGN:
        cells = cells or (change(1), change(2, "monocyte", "lymphocyte"))
        differential = differential or {"leukocytes": len(cells)}
        verification = verification or "f" * 64
    if action is Action.WRITTEN:
        verification = verification or "verification.json"
    if action is Action.NOTE:
        text = text or "Smudged at the edge."
    return Draft(
        request=request(),
        slide_key=slide_key(sample, slide),
        sample_id=sample,
        slide_id=slide,
        revision=1,
        by=by,
        login="pin",
        action=action,
        cells=tuple(cells),
        undoes=undoes,
        text=text,
        verification=verification,
        differential=differential,
        signed_at=START if action is Action.SIGN else None,
    )


def ticking(start: datetime = START, step_s: float = 1.0) -> Callable[[], datetime]:
    """A clock that goes on by a step at each look."""
    ticks = count()
    return lambda: start + timedelta(seconds=step_s * next(ticks))
