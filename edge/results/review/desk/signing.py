"""A signature: its entry in the record first, then the verification file that it stands for.

The entry holds all that the file says. A process that is killed between the two writes the file at
its next start, with the same bytes, so that no signature is lost and none is doubled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.failpoints import failpoint
from edge.results.document.result import Person
from edge.results.review.images.image_files import ImageFiles
from edge.results.review.record.entry import Action, CellChange, Draft, Entry
from edge.results.review.record.record import Record
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.view.readiness import problems_json
from edge.results.review.view.slide_cells import change_of
from edge.results.review.view.slide_reading import READERS, SlideReading
from edge.results.review.view.view import View
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import (
    VerificationFile,
    verification_to_json,
)
from edge.sidecar import now


def require_ready(view: View, reason: str, images: ImageFiles) -> None:
    """Refuse what cannot be signed.

    Args:
        reason: why a signed result is corrected; empty if none was given.
        images: each must still be the one that was labelled.

    Raises:
        Refusal: says what is in the way.
    """
    if problems := view.problems():
        text = f"it cannot be signed: {problems[0].text}"
        raise Refusal(RefusalCode.NOT_READY, text, problems=problems_json(problems))
    if view.needs_reason and not reason:
        raise Refusal(RefusalCode.NOT_READY, "say why the signed result is corrected")
    before = [view.last.verification.at] if view.last and view.last.verification else []
    if view.reading.signature and view.reading.signature.signed_at:
        before.append(view.reading.signature.signed_at)
    if before and max(before) >= now():
        text = "the clock is behind the last signature of this slide; set it, then sign"
        raise Refusal(RefusalCode.NOT_READY, text)
    for cell in view.cells.by_id.values():
        try:
            images.content(cell)
        except Refusal as error:
            text = f"an image cannot be shown as it was labelled: {error.text}"
            raise Refusal(RefusalCode.NOT_READY, text) from error


def signature_draft(
    view: View,
    *,
    request: str,
    by: Person,
    login: str,
    at: datetime,
    reason: str,
    counts: Mapping[str, Any],
) -> Draft:
    """The entry of a person's signature.

    Args:
        view: as the person sees it; every cell is decided.
        at: the time in the verification file.
        reason: why a signed result is corrected; empty otherwise.
        counts: the differential as signed, in the page's form.

    Raises:
        ConfigError: the verification file would not be usable.
    """
    slide = view.standing.slide
    return _with_digest(
        Draft(
            request=request,
            slide_key=view.key,
            sample_id=slide.sample_id,
            slide_id=slide.slide_id,
            revision=view.revision,
            by=by,
            login=login,
            action=Action.SIGN,
            cells=_signed_cells(view),
            text=reason,
            differential=counts,
            signed_at=at,
            note=_note(view.reading, by),
        )
    )


def write_signature(record: Record, entry: Entry, folder: Path) -> None:
    """Write the verification file of a signature, and note in the record that it is there.

    Args:
        entry: of the signature.
        folder: of the verifications.

    Raises:
        StorageError: the disk refuses; try again later.
    """
    failpoint("review.before_verification")
    path = write_verification(folder, _verification(entry))
    failpoint("review.verification_written")
    record.append(
        Draft(
            # The same of every process that finds it open: it is appended once.
            request=entry.hash[:32],
            slide_key=entry.slide_key,
            sample_id=entry.sample_id,
            slide_id=entry.slide_id,
            revision=entry.revision,
            by=entry.by,
            login=entry.login,
            action=Action.WRITTEN,
            undoes=entry.number,
            verification=path.name,
        )
    )


def _signed_cells(view: View) -> tuple[CellChange, ...]:
    """Every cell with the model's label and the one that stands."""
    return tuple(
        change_of(cell, cell.label, view.reading.labels[sha256])
        for sha256, cell in view.cells.by_hash.items()
    )


def _with_digest(draft: Draft) -> Draft:
    try:
        content = verification_to_json(_verification(draft))
    except ValueError as error:
        raise ConfigError(f"the signature cannot be used: {error}. Correct it.") from error
    return replace(draft, verification=hashlib.sha256(content).hexdigest())


def _verification(draft: Draft) -> VerificationFile:
    if draft.signed_at is None:
        raise ConfigError("a signature has no time; the record was not written by this program.")
    return VerificationFile(
        sample_id=draft.sample_id,
        slide_id=draft.slide_id,
        revision=draft.revision,
        by=draft.by,
        at=draft.signed_at,
        labels={cell.sha256: str(cell.after) for cell in draft.cells},
        note=draft.note,
        reason=draft.text or None,
    )


def _note(reading: SlideReading, by: Person) -> str:
    """The notes of the slide; a note of another person names who wrote it."""
    parts = [
        one.text if one.by.id == by.id else f"{one.by.name}: {one.text}" for one in reading.notes
    ]
    others = [one for one in reading.readers[:READERS] if one.id != by.id]
    parts += [f"Also read by {one.name} ({one.id})" for one in others]
    return "; ".join(parts)
