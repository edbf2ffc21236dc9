"""The two 95 % intervals of each class: of counting so few cells, and of the model's errors too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.results.differential.errors import ModelErrors
from edge.results.document.result import ERYTHROBLAST, LEUKOCYTES, Interval, ResultCell
from edge.shares.clopper_pearson import clopper_pearson


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals by class, of the leukocytes and of the erythroblasts; empty without leukocytes.

    Attributes:
        errors_from: what `with_errors` stands on; why it is empty, otherwise.
    """

    sampling: Mapping[str, Interval]
    with_errors: Mapping[str, Interval] = field(default_factory=dict)
    errors_from: str = ""


def intervals_of(cells: Sequence[ResultCell], errors: ModelErrors, seed: str) -> Intervals:  # noqa: ARG001
    """Both intervals of each class, in percent; of erythroblasts, per 100 leukocytes."""
    counts = Counter(cell.label for cell in cells)
    return Intervals(_sampling(counts), {}, errors.text)


def _sampling(counts: Counter[str | None]) -> dict[str, Interval]:
    leukocytes = sum(counts[name] for name in LEUKOCYTES)
    if not leukocytes:
        return {}
    found = {
        name: Interval(*(_points(limit) for limit in clopper_pearson(counts[name], leukocytes)))
        for name in LEUKOCYTES
    }
    # Of leukocytes and erythroblasts together, the share of the latter is binomial.
    limits = clopper_pearson(counts[ERYTHROBLAST], leukocytes + counts[ERYTHROBLAST])
    found[ERYTHROBLAST] = Interval(*(_points(limit / (1 - limit)) for limit in limits))
    return found


def _points(share: float) -> float:
    # A hundredth of a point is far below what any count can tell.
    return round(100 * share, 2)
