"""A slide's differential from its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import Final

from edge.errors import ConfigError
from edge.results.differential.errors import UNKNOWN_ERRORS, ModelErrors
from edge.results.differential.flags import flags_of
from edge.results.differential.intervals import Intervals, intervals_of
from edge.results.differential.limits import Limits
from edge.results.differential.percentages import whole_percentages
from edge.results.document.result import (
    CELL_CLASSES,
    ERYTHROBLAST,
    LEUKOCYTES,
    NOT_COUNTED,
    PLATELET,
    ClassResult,
    Differential,
    Erythroblasts,
    ResultCell,
)

# 10^9 cells per litre; more are a count per microlitre.
_HIGHEST_WBC: Final = 2000.0
_DEFAULT_LIMITS: Final = Limits()


def differential(
    cells: Sequence[ResultCell],
    *,
    rejected: int,
    seed: str,
    wbc: float | None = None,
    errors: ModelErrors = UNKNOWN_ERRORS,
    limits: Limits = _DEFAULT_LIMITS,
) -> Differential:
    """The counts of one slide and what follows from them; the order of the cells does not matter.

    Args:
        rejected: number of images that hold no cell to label.
        seed: the slide's key: the same cells and seed give the same intervals.
        wbc: leukocyte count of the sample, 10^9 per litre, from a cell counter.

    Cells that a person took out of the count, as `NOT_COUNTED` names them, only make a flag.

    Raises:
        ConfigError: a label is none of these and of the eight classes, or `wbc` is no such count.
    """
    if wbc is not None:
        _check_wbc(wbc)
    _check_labels(cells)
    left_out = [cell for cell in cells if cell.label in NOT_COUNTED]
    cells = [cell for cell in cells if cell.label not in NOT_COUNTED]
    counts = Counter(cell.label for cell in cells)
    leukocytes = sum(counts[name] for name in LEUKOCYTES)
    intervals = intervals_of(cells, errors, limits, seed)
    return Differential(
        classes=_class_results(counts, intervals, wbc),
        leukocytes=leukocytes,
        erythroblasts=Erythroblasts(
            count=counts[ERYTHROBLAST],
            per_100_wbc=round(100 * counts[ERYTHROBLAST] / leukocytes, 1) if leukocytes else None,
            sampling=intervals.sampling.get(ERYTHROBLAST),
            with_errors=intervals.with_errors.get(ERYTHROBLAST),
        ),
        platelets=counts[PLATELET],
        unidentified=counts[None],
        rejected=rejected,
        wbc=wbc,
        errors_from=intervals.errors_from,
        flags=flags_of(cells, rejected, limits, left_out=left_out),
    )


def _class_results(
    counts: Counter[str | None], intervals: Intervals, wbc: float | None
) -> tuple[ClassResult, ...]:
    of_class = [counts[name] for name in LEUKOCYTES]
    total = sum(of_class)
    percent: Sequence[int | None] = whole_percentages(of_class) if total else [None] * len(of_class)
    return tuple(
        ClassResult(
            name=name,
            count=count,
            percent=whole,
            share=100 * count / total if total else None,
            sampling=intervals.sampling.get(name),
            with_errors=intervals.with_errors.get(name),
            absolute=round(wbc * count / total, 2) if wbc is not None and total else None,
        )
        for name, count, whole in zip(LEUKOCYTES, of_class, percent, strict=True)
    )


def _check_wbc(wbc: float) -> None:
    if not (isfinite(wbc) and 0 < wbc <= _HIGHEST_WBC):
        raise ConfigError(
            f"the leukocyte count is {wbc}, it must be above 0 and at most {_HIGHEST_WBC:g}, "
            "in 10^9 per litre. Give it as the cell counter reports it."
        )


def _check_labels(cells: Sequence[ResultCell]) -> None:
    known = {*CELL_CLASSES, *NOT_COUNTED, None}
    if other := sorted({str(cell.label) for cell in cells if cell.label not in known}):
        raise ConfigError(
            f"cells are labelled {', '.join(map(ascii, other[:8]))}; a differential is of "
            f"{', '.join(CELL_CLASSES)}. Convert the model with these names of its classes."
        )
