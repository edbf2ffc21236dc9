"""A record as some days of work leave it, with verification files."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from contextlib import closing
from pathlib import Path

from edge.results.document.result import Person
from edge.results.review.record.database import NAME
from edge.results.review.record.entry import Action, CellChange, Entry
from edge.results.review.record.record import Record
from edge.results.verification.verification_file import LABELS
from tests.support.review_entries import PERSON, SECOND, change, draft, ticking

THIRD = Person("o'h", 'Siobhán "Shiv" O\'Hara')
PEOPLE = (PERSON, SECOND, THIRD)


def make_record(folder: Path, *, slides: int, seed: int) -> Path:
    """The record of some slides: decided, noted, taken back, signed, corrected.

    Returns:
        The database, without a write-ahead log. The verification files are in `verifications`.
    """
    rng = random.Random(seed)  # noqa: S311 - a record that can be made again
    verifications = folder / "verifications"
    verifications.mkdir(parents=True)
    with Record.open(folder, clock=ticking(step_s=37.25)) as record:
        for slide in range(slides):
            _review(record, verifications, f"S{slide:06}-Ä", rng)
        record.append(draft(Action.NOTE, sample="S-open", text="to be looked at tomorrow"))
    path = folder / NAME
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
    return path


def _review(record: Record, verifications: Path, sample: str, rng: random.Random) -> None:
    by = rng.choice(PEOPLE)
    for _ in range(rng.randint(1, 2)):
        cells = [_cell(number, rng) for number in range(rng.randint(1, 4))]
        record.append(draft(sample=sample, by=by, cells=cells))
    if rng.random() < 0.5:
        number = record.append(draft(sample=sample, by=by)).number
        record.append(draft(Action.UNDO, sample=sample, by=by, undoes=number))
    if rng.random() < 0.3:
        record.append(draft(Action.NOTE, sample=sample, by=by, text="stain too dark\n次回確認"))
    if rng.random() < 0.3:
        record.append(draft(Action.FINISH, sample=sample, by=rng.choice(PEOPLE)))
    for reason in ("", "looked again")[: rng.randint(1, 2)]:
        _sign(record, verifications, (sample, reason), by, rng)


def _sign(
    record: Record,
    verifications: Path,
    what: tuple[str, str],
    by: Person,
    rng: random.Random,
) -> Entry:
    sample, reason = what
    content = f"verification of {sample}: {reason or 'first'}\n".encode()
    cells = [_cell(number, rng) for number in range(rng.randint(3, 8))]
    sign = record.append(
        draft(
            Action.SIGN,
            sample=sample,
            by=by,
            cells=cells,
            text=reason,
            verification=hashlib.sha256(content).hexdigest(),
            differential={"leukocytes": 7, "classes": [{"name": "ig", "share": 14.28}]},
        )
    )
    name = f"{sign.slide_key}-{sign.number}.json"
    (verifications / name).write_bytes(content)
    return record.append(
        draft(Action.WRITTEN, sample=sample, by=by, undoes=sign.number, verification=name)
    )


def _cell(number: int, rng: random.Random) -> CellChange:
    suggested = rng.choice([*LABELS[:8], None])
    return change(
        number,
        suggested,
        rng.choice(LABELS),
        confidence=round(rng.random(), 4),
        model=rng.choice("bcd") * 64,
    )
