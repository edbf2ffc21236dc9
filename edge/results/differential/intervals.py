"""The two 95 % intervals of each class: of counting so few cells, and of the model's errors too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.results.differential.errors import ModelErrors
from edge.results.differential.flags import is_beyond, unfamiliar
from edge.results.differential.limits import Limits
from edge.results.differential.true_shares import interval_of_shares
from edge.results.document.result import (
    CELL_CLASSES,
    ERYTHROBLAST,
    LEUKOCYTES,
    Interval,
    ResultCell,
)
from edge.shares.clopper_pearson import clopper_pearson

ALL_SEEN = "a person has seen every cell, so that only counting is uncertain"


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals by class, of the leukocytes and of the erythroblasts; empty without leukocytes.

    Attributes:
        errors_from: what `with_errors` stands on; why it is empty, otherwise.
    """

    sampling: Mapping[str, Interval]
    with_errors: Mapping[str, Interval] = field(default_factory=dict)
    errors_from: str = ""


def intervals_of(
    cells: Sequence[ResultCell], errors: ModelErrors, limits: Limits, seed: str
) -> Intervals:
    """Both intervals of each class, in percent; of erythroblasts, per 100 leukocytes."""
    sampling = _sampling(Counter(cell.label for cell in cells))
    if not sampling:
        return Intervals({}, {}, "none: no leukocyte was identified")
    unseen = [cell for cell in cells if cell.reviewed_by is None]
    if not unseen:
        return Intervals(sampling, sampling, ALL_SEEN)
    if reason := _why_none(cells, unseen, errors, limits):
        return Intervals(sampling, {}, reason)
    found = interval_of_shares(cells, errors, seed)
    with_errors = {name: _interval(low, high) for name, (low, high) in found.items()}
    return Intervals(sampling, with_errors, errors.source)


def _why_none(
    cells: Sequence[ResultCell],
    unseen: Sequence[ResultCell],
    errors: ModelErrors,
    limits: Limits,
) -> str | None:
    if any(cell.image not in errors.graph_of for cell in unseen):
        return errors.missing
    if any(cell.suggested not in {*CELL_CLASSES, None} for cell in unseen):
        return "none: the model suggested a class that its table of errors lacks"
    count, scored = unfamiliar(cells)
    if is_beyond(count, scored, limits.most_unfamiliar):
        # The table says what the model does with images like those of its validation.
        return (
            f"none: {count} of {scored} cells do not look like the laboratory's own images, "
            "and how often the model errs on others is not known"
        )
    return None


def _sampling(counts: Counter[str | None]) -> dict[str, Interval]:
    leukocytes = sum(counts[name] for name in LEUKOCYTES)
    if not leukocytes:
        return {}
    found = {name: _interval(*clopper_pearson(counts[name], leukocytes)) for name in LEUKOCYTES}
    # Of leukocytes and erythroblasts together, the share of the latter is binomial.
    low, high = clopper_pearson(counts[ERYTHROBLAST], leukocytes + counts[ERYTHROBLAST])
    found[ERYTHROBLAST] = _interval(low / (1 - low), high / (1 - high))
    return found


def _interval(low: float, high: float) -> Interval:
    # A hundredth of a point is far below what any count can tell.
    return Interval(round(100 * low, 2), round(100 * high, 2))
