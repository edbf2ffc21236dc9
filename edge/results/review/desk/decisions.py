"""From what a person wants on the page to an entry of the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from edge.results.document.result import Person
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.review.desk.requests import Decide, Other
from edge.results.review.record.entry import Action, CellChange, Draft
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.view.readiness import Obstacle, may_finish
from edge.results.review.view.slide_cells import change_of
from edge.results.review.view.slide_reading import Labels, SlideReading
from edge.results.review.view.view import View

# Room for the names of persons in the note of a signature, which has at most 20,000 characters.
_MOST_NOTES: Final = 18_000
_BETWEEN: Final = 4


def decision_draft(
    view: View,
    wanted: Decide | Other,
    by: Person,
    login: str,
    without: Callable[[View, int], SlideReading],
) -> Draft | None:
    """The entry of what a person wants; None if it changes nothing.

    Args:
        login: how the person is known.
        without: the slide as if an entry were not there.

    Raises:
        Refusal: it cannot be done, or the page shows something else than what stands.
    """
    cells: Sequence[CellChange] = ()
    if isinstance(wanted, Decide):
        cells = _decided(view, wanted)
        if not cells:
            return None
    elif wanted.action is Action.NOTE:
        _require_room(view, wanted.text)
    elif wanted.action is Action.FINISH:
        _require_finishable(view)
    elif wanted.action is Action.UNDO:
        cells = _taken_back(view, wanted.undoes or 0, without)
    slide = view.standing.slide
    draft = Draft(
        request=wanted.request,
        slide_key=view.key,
        sample_id=slide.sample_id,
        slide_id=slide.slide_id,
        revision=view.revision,
        by=by,
        login=login,
        action=Action.DECIDE,
        cells=tuple(cells),
    )
    if isinstance(wanted, Decide):
        return draft
    return replace(draft, action=wanted.action, undoes=wanted.undoes, text=wanted.text)


def touched_cells(view: View, wanted: Decide | Other) -> list[str] | None:
    """The hashes of the cells that an answer shows again; None: all, as after an undo."""
    if isinstance(wanted, Other):
        return None if wanted.action is not Action.NOTE else []
    cells = view.cells.by_id
    return [str(cells[one].sha256) for one in wanted.cells if one in cells]


def _decided(view: View, wanted: Decide) -> list[CellChange]:
    """The changes of those cells that this person had not decided so."""
    if any(one.code is Obstacle.OTHER_READER for one in view.problems()):
        text = "you have finished your reading; take that back with undo to change a label"
        raise Refusal(RefusalCode.NOT_READY, text)
    cells = view.cells.by_id
    if wanted.cells.keys() - cells.keys():
        text = "cells of this slide have changed; it was loaded again, decide them anew"
        raise Refusal(RefusalCode.CHANGED, text)
    chosen = {one: cells[one] for one in wanted.cells}
    _require_as_shown(view, wanted, chosen.items())
    changes = []
    for cell in chosen.values():
        before = view.reading.labels[str(cell.sha256)]
        after = wanted.label or before
        if after is None:
            text = "an unidentified cell has no label that could be right; give it one"
            raise Refusal(RefusalCode.BAD_REQUEST, text)
        if before != after or cell.sha256 not in view.reading.decided:
            changes.append(change_of(cell, before, after))
    return changes


def _require_as_shown(
    view: View, wanted: Decide, chosen: Iterable[tuple[str, SidecarCell]]
) -> None:
    """Refuse a decision about labels that were changed since the page showed them."""
    for one, cell in chosen:
        if view.reading.labels[str(cell.sha256)] != wanted.cells[one]:
            decider = view.reading.deciders.get(str(cell.sha256))
            who = decider.name if decider else "somebody else"
            text = f"{who} has changed a label meanwhile; look at it, and decide again"
            raise Refusal(RefusalCode.CHANGED, text)


def _require_room(view: View, text: str) -> None:
    """Refuse a note with which all of the slide's would not fit into its verification."""
    notes = [one for one in view.entries if one.action is Action.NOTE]
    length = len(text) + sum(len(one.text) + len(one.by.name) + _BETWEEN for one in notes)
    if length > _MOST_NOTES:
        text = f"this slide has notes of {_MOST_NOTES} characters, and no more go with a result"
        raise Refusal(RefusalCode.NOT_READY, text)


def _require_finishable(view: View) -> None:
    problems = view.problems()
    if not may_finish(problems):
        text = problems[0].text if problems else "it is not read blind"
        raise Refusal(RefusalCode.NOT_READY, f"the reading cannot be finished: {text}")


def _taken_back(
    view: View, number: int, without: Callable[[View, int], SlideReading]
) -> list[CellChange]:
    """The changes of an undo: from the labels that stand to those without the entry."""
    if number != view.reading.undo:
        text = "only your last action since the last signature can be taken back"
        raise Refusal(RefusalCode.NOT_READY, text)
    (entry,) = (one for one in view.entries if one.number == number)
    known = view.cells.by_hash
    after: Labels = without(view, number).labels
    return [
        change_of(known[one.sha256], view.reading.labels[one.sha256], after[one.sha256])
        for one in entry.cells
        if one.sha256 in known
    ]
