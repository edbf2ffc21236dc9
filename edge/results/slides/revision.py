"""The next result of a slide, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from edge.results.document.result import (
    Differential,
    ResultCell,
    SlideResult,
    State,
)
from edge.results.slides.signing import Signing, as_signed, seen_cells
from edge.results.slides.slide import Slide, unseen_cells
from edge.results.verification.verification_file import VerificationFile
from edge.text.counted import counted


@dataclass(frozen=True, slots=True)
class Draft:
    """A result without its counts: comparing slides does not need these, and they take time."""

    sample_id: str
    slide_id: str | None
    state: State
    cells: tuple[ResultCell, ...]
    rejected_images: tuple[str, ...]
    wbc: float | None
    collected: datetime | None
    completed: datetime
    signed: VerificationFile | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with a complete slide.

    Attributes:
        draft: the next result; None if the last one stands.
        problem: why a change of the slide is held, in one line without ids.
        notes: what a person should know.
    """

    draft: Draft | None
    problem: str | None = None
    notes: tuple[str, ...] = ()


def preliminary(slide: Slide, last: SlideResult | None) -> Draft:
    """The result of a slide's cells as the model labelled them.

    A leukocyte count or time of collection that was known once stays when the manifest is gone.
    Where a manifest names the slide, what it says counts: an empty cell takes a wrong value back.
    """
    wbc, collected = slide.wbc(), slide.collected()
    if last is not None and not slide.rows:
        wbc, collected = last.differential.wbc, last.collected
    return Draft(
        sample_id=slide.sample_id,
        slide_id=slide.slide_id,
        state=State.PRELIMINARY,
        cells=unseen_cells(slide.cells()),
        rejected_images=slide.rejected(),
        wbc=wbc,
        collected=collected,
        completed=slide.newest(),
    )


def next_step(
    slide: Slide, last: SlideResult | None, signing: Signing, *, is_back: bool = False
) -> Step:
    """What follows from a slide's cells, its last issued result and the newest verification.

    - Nothing signed, no verification: a preliminary result, and a new one when the cells change.
    - A usable verification: the final result, or a corrected one if it changes a signed one.
    - A signed result is never followed by a preliminary one. When its cells change, nothing leaves
      until a person has verified them all.

    Args:
        is_back: whether its cells were issued under another id since the last result. A
            verification then makes a result also where it changes nothing.
    """
    draft = preliminary(slide, last)
    if not draft.cells and not last:
        return Step(None, "no image of it holds a cell")
    if signing.usable is not None:
        return _signed(draft, last, signing.usable, is_back=is_back)
    return _unsigned(draft, last, signing.problem)


def changes_last(
    slide: Slide,
    last: SlideResult | None,
    verification: VerificationFile,
    *,
    is_back: bool = False,
) -> bool:
    """Whether a verification that can be used makes another result of a slide."""
    draft = preliminary(slide, last)
    return _signed(draft, last, verification, is_back=is_back).draft is not None


def _unsigned(draft: Draft, last: SlideResult | None, problem: str | None) -> Step:
    """The step without a usable verification."""
    if last is None:
        return Step(draft, problem)
    if gone := _gone(draft, last):
        cells = counted(gone, "cell")
        return Step(None, f"its images lack {cells} of its last result; restore or verify them")
    if last.state is not State.PRELIMINARY:
        return Step(None, problem or _changed_since_signing(draft, last))
    if _is_same(draft, last):
        return Step(None, problem)
    return Step(draft, problem, _changes(draft, last))


def numbered(
    draft: Draft, last: SlideResult | None, slide: Slide, differential: Differential
) -> SlideResult:
    """The draft as the next revision.

    Its completion time is later than that of the revision before by a whole second or more: some
    importers take a correction with an equal time for the same result, and some formats have no
    fractions.
    """
    completed = draft.completed
    if last is not None:
        following = last.completed.replace(microsecond=0) + timedelta(seconds=1)
        completed = max(completed, following.astimezone(completed.tzinfo))
    return SlideResult(
        sample_id=draft.sample_id,
        slide_id=draft.slide_id,
        state=draft.state,
        revision=last.revision + 1 if last else 1,
        completed=completed,
        differential=differential,
        cells=draft.cells,
        rejected_images=draft.rejected_images,
        models=slide.models(),
        verification=as_signed(draft.signed) if draft.signed else None,
        reason=draft.reason,
        replaces=last.result_id if last else None,
        collected=draft.collected,
    )


def _signed(
    draft: Draft, last: SlideResult | None, verification: VerificationFile, *, is_back: bool
) -> Step:
    signed = replace(
        draft,
        state=State.FINAL,
        cells=seen_cells(draft.cells, verification),
        completed=verification.at,
        signed=verification,
    )
    if last is None or last.state is State.PRELIMINARY:
        return Step(signed)
    changes = _changes(signed, last)
    if not is_back and not changes:
        return Step(None, notes=("it was verified again without a change",))
    reason = verification.reason or ", ".join(changes) or "its cells had another id meanwhile"
    return Step(replace(signed, state=State.CORRECTED, reason=reason))


def _changed_since_signing(draft: Draft, last: SlideResult) -> str | None:
    """What has changed of a signed result; a label of the model is not part of it."""
    seen = _labels(last.cells)
    cells = tuple(replace(cell, label=seen.get(cell.sha256)) for cell in draft.cells)
    changes = _changes(replace(draft, cells=cells), last)
    return f"{', '.join(changes)} since it was verified; verify it again" if changes else None


def _changes(draft: Draft, last: SlideResult) -> tuple[str, ...]:
    """How a draft differs from the last result, in words."""
    now, before = _labels(draft.cells), _labels(last.cells)
    new, gone = len(now.keys() - before.keys()), len(before.keys() - now.keys())
    labels = sum(now[key] != before[key] for key in now.keys() & before.keys())
    rejected = len(set(draft.rejected_images) ^ set(last.rejected_images))
    found = [
        f"{counted(new, 'cell')} added" if new else "",
        f"{counted(gone, 'cell')} removed" if gone else "",
        f"{counted(labels, 'label')} changed" if labels else "",
        f"{counted(rejected, 'rejected image')} more or less" if rejected else "",
        "the leukocyte count changed" if draft.wbc != last.differential.wbc else "",
        "the time of collection changed" if draft.collected != last.collected else "",
    ]
    return tuple(filter(None, found))


def _gone(draft: Draft, last: SlideResult) -> int:
    """Cells of the last result whose image is neither there nor replaced by another one."""
    there = {cell.sha256 for cell in draft.cells}
    replaced = {cell.image for cell in draft.cells} | set(draft.rejected_images)
    return sum(cell.sha256 not in there and cell.image not in replaced for cell in last.cells)


def _is_same(draft: Draft, last: SlideResult) -> bool:
    return (draft.cells, draft.rejected_images, draft.wbc, draft.collected) == (
        last.cells,
        last.rejected_images,
        last.differential.wbc,
        last.collected,
    )


def _labels(cells: Sequence[ResultCell]) -> dict[str, str | None]:
    return {cell.sha256: cell.label for cell in cells}
