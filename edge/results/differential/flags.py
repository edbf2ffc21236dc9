"""What a person must know before using a differential, in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.results.differential.limits import Limits
from edge.results.document.result import LEUKOCYTES, OTHER, Flag, FlagCode, ResultCell
from edge.text.counted import counted

_LEUKOCYTES: Final = frozenset(LEUKOCYTES)


def flags_of(
    cells: Sequence[ResultCell],
    rejected: int,
    limits: Limits,
    *,
    left_out: Sequence[ResultCell] = (),
) -> tuple[Flag, ...]:
    """The flags of a slide, in the order of `FlagCode`.

    Args:
        cells: those that count, and the unidentified ones.
        rejected: number of images without a cell.
        left_out: cells that a person took out of the count.
    """
    found = (
        _too_few(cells, limits),
        _many_unidentified(cells, limits),
        _low_confidence(cells, limits),
        _other_laboratory(cells, limits),
        _rejected(rejected),
        _other_cells(left_out),
        _drift(cells),
    )
    return tuple(flag for flag in found if flag)


def unfamiliar(cells: Sequence[ResultCell]) -> tuple[int, int]:
    """Unseen cells that do not look like the laboratory's own, and all unseen ones with a score.

    Cells that a person has seen do not stand on what the model has learned.
    """
    scores = [c.is_familiar for c in cells if c.reviewed_by is None and c.is_familiar is not None]
    return scores.count(False), len(scores)


def is_beyond(count: int, total: int, most: float) -> bool:
    """Whether a share is larger than allowed; never of nothing."""
    return total > 0 and count > most * total


def _too_few(cells: Sequence[ResultCell], limits: Limits) -> Flag | None:
    count = sum(cell.label in _LEUKOCYTES for cell in cells)
    if count >= limits.fewest_leukocytes:
        return None
    were = f"{counted(count, 'leukocyte')} {'was' if count == 1 else 'were'} counted"
    text = f"{were}, a differential needs {limits.fewest_leukocytes}"
    return Flag(FlagCode.TOO_FEW_CELLS, text)


def _many_unidentified(cells: Sequence[ResultCell], limits: Limits) -> Flag | None:
    count = sum(cell.label is None for cell in cells)
    if not is_beyond(count, len(cells), limits.most_unidentified):
        return None
    text = (
        f"{_part(count, len(cells))} cells are unidentified, "
        f"at most {_percent(limits.most_unidentified)} are usual"
    )
    return Flag(FlagCode.MANY_UNIDENTIFIED, text)


def _low_confidence(cells: Sequence[ResultCell], limits: Limits) -> Flag | None:
    # A share of the cells rather than a mean or median: a few labels of a class that the model
    # does not know hardly move those, and a lowered median needs half of the slide to be doubtful.
    confidences = [c.confidence for c in cells if c.reviewed_by is None and c.label is not None]
    count = sum(confidence < limits.unsure_below for confidence in confidences)
    if not is_beyond(count, len(confidences), limits.most_unsure):
        return None
    text = (
        f"{_part(count, len(confidences))} labels have a confidence below "
        f"{limits.unsure_below:g}, at most {_percent(limits.most_unsure)} are usual"
    )
    return Flag(FlagCode.LOW_CONFIDENCE, text)


def _other_laboratory(cells: Sequence[ResultCell], limits: Limits) -> Flag | None:
    count, scored = unfamiliar(cells)
    if not is_beyond(count, scored, limits.most_unfamiliar):
        return None
    text = (
        f"{_part(count, scored)} cells do not look like the laboratory's own images, "
        f"at most {_percent(limits.most_unfamiliar)} are usual"
    )
    return Flag(FlagCode.OTHER_LABORATORY, text)


def _rejected(rejected: int) -> Flag | None:
    if not rejected:
        return None
    images = "1 image was" if rejected == 1 else f"{rejected} images were"
    return Flag(FlagCode.REJECTED_IMAGES, f"{images} rejected and not counted")


def _other_cells(left_out: Sequence[ResultCell]) -> Flag | None:
    count = sum(cell.label == OTHER for cell in left_out)
    if not count:
        return None
    # Such as blasts, which a LIS must not take for absent because no class is theirs.
    cells = "1 cell is" if count == 1 else f"{count} cells are"
    return Flag(FlagCode.OTHER_CELLS, f"{cells} of another kind and in no count; see the slide")


def _drift(cells: Sequence[ResultCell]) -> Flag | None:
    unseen = [cell for cell in cells if cell.reviewed_by is None]
    count = sum(cell.during_drift for cell in unseen)
    if not count:
        return None
    text = (
        f"{_part(count, len(unseen))} cells came while the analyzer's images looked "
        "different from the laboratory's"
    )
    return Flag(FlagCode.DRIFT, text)


def _part(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.1f} %)"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
