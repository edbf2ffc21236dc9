"""What must hold between the parts of a result, whoever made it."""

from __future__ import annotations

from collections import Counter

from edge.results.document.result import (
    CELL_CLASSES,
    ERYTHROBLAST,
    LEUKOCYTES,
    NOT_COUNTED,
    PLATELET,
    SlideResult,
    State,
    result_id,
)


def inconsistency(result: SlideResult) -> str | None:
    """The first contradiction within a result, in one line without ids; None if there is none.

    A final or corrected result stands on a named person's word about each of its cells.
    """
    checks = (_revision, _signature, _cells, _counts)
    return next(filter(None, (check(result) for check in checks)), None)


def _revision(result: SlideResult) -> str | None:
    before = result.revision - 1
    if result.revision < 1:
        return f"the revision is {result.revision}, the first is 1"
    if result.replaces != (result_id(result.slide_key, before) if before else None):
        return "`replaces` does not name the revision before"
    if (result.state is State.CORRECTED) != (result.reason is not None):
        return "a corrected result has a reason, and no other has one"
    if result.state is State.CORRECTED and not before:
        return "the first revision cannot be a correction"
    if result.completed.utcoffset() is None:
        return "`completed` has no time zone"
    return None


def _signature(result: SlideResult) -> str | None:
    if result.state is State.PRELIMINARY:
        return None if result.verification is None else "a preliminary result has a verification"
    if result.verification is None:
        return f"a {result.state} result has no verification"
    person = result.verification.by
    if not person.id.strip() or not person.name.strip():
        return "the verification names nobody"
    if any(cell.reviewed_by is None for cell in result.cells):
        return f"nobody reviewed some cells of a {result.state} result"
    if any(cell.label is None for cell in result.cells):
        return f"some cells of a {result.state} result have no label"
    return None


def _cells(result: SlideResult) -> str | None:
    images = [cell.image for cell in result.cells]
    if images != sorted(set(images)):
        return "the cells are not in the order of their images, or one comes twice"
    if len({cell.sha256 for cell in result.cells}) < len(images):
        return "one image is counted twice under two names"
    known = {*CELL_CLASSES, *NOT_COUNTED}
    if any(cell.label not in known for cell in result.cells if cell.label is not None):
        return "a cell has an unknown label"
    if any(cell.label in NOT_COUNTED and not cell.reviewed_by for cell in result.cells):
        return "only a person may take a cell out of the count"
    return None


def _counts(result: SlideResult) -> str | None:
    counts = Counter(cell.label for cell in result.cells)
    found = result.differential
    stated = {one.name: one.count for one in found.classes}
    stated |= {ERYTHROBLAST: found.erythroblasts.count, PLATELET: found.platelets}
    if tuple(one.name for one in found.classes) != LEUKOCYTES:
        return f"the classes are not {', '.join(LEUKOCYTES)}"
    if any(counts[name] != count for name, count in stated.items()):
        return "a count differs from the number of cells with that label"
    if found.unidentified != counts[None] or found.rejected != len(result.rejected_images):
        return "unidentified or rejected differs from the cells and images listed"
    if found.leukocytes != sum(one.count for one in found.classes):
        return "the leukocytes are not the sum of their classes"
    percents = [one.percent for one in found.classes]
    expected = 100 if found.leukocytes else None
    total = None if None in percents else sum(filter(None, percents))
    return None if total == expected else "the percentages do not sum to 100"
