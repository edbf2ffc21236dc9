from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from edge.results.differential.differential import differential
from edge.results.differential.errors import ModelErrors, Table
from edge.results.differential.intervals import ALL_SEEN
from edge.results.document.result import CELL_CLASSES, Differential, Interval, ResultCell
from tests.support.cells import cells_of

MIX: Mapping[str | None, int] = {
    "neutrophil": 120,
    "eosinophil": 5,
    "basophil": 1,
    "lymphocyte": 58,
    "monocyte": 12,
    "ig": 4,
    "erythroblast": 6,
    "platelet": 8,
    None: 5,
}
NEUTROPHIL, IG = CELL_CLASSES.index("neutrophil"), CELL_CLASSES.index("ig")


def table(images: int, *, neutrophils_as_ig: float = 0.0) -> Table:
    """So many images of each class, all right but for a share of the neutrophils."""
    rows = [[images * (row == column) for column in range(9)] for row in range(8)]
    rows[NEUTROPHIL][IG] = round(images * neutrophils_as_ig)
    rows[NEUTROPHIL][NEUTROPHIL] -= rows[NEUTROPHIL][IG]
    return tuple(tuple(row) for row in rows)


def errors_of(cells: list[ResultCell], found: Table) -> ModelErrors:
    return ModelErrors({"g": found}, {cell.image: "g" for cell in cells}, "a validation")


def of(cells: list[ResultCell], found: Table, seed: str = "S1") -> Differential:
    return differential(cells, rejected=0, seed=seed, errors=errors_of(cells, found))


def with_errors(found: Differential, name: str) -> Interval:
    if name == "erythroblast":
        interval = found.erythroblasts.with_errors
    else:
        interval = next(c.with_errors for c in found.classes if c.name == name)
    assert interval is not None
    return interval


def width(found: Differential, name: str) -> float:
    interval = with_errors(found, name)
    return interval.high - interval.low


def test_interval_of_a_perfect_model_is_about_that_of_sampling() -> None:
    found = of(cells_of(MIX), table(100_000))
    for result in found.classes:
        assert result.sampling is not None
        interval = with_errors(found, result.name)
        # Jeffreys' limits are those of Clopper-Pearson for half a cell of 200 less.
        assert interval.low == pytest.approx(result.sampling.low, abs=1.3)
        assert interval.high == pytest.approx(result.sampling.high, abs=1.3)
    assert found.errors_from == "a validation"


def test_interval_with_errors_takes_back_what_a_model_often_confuses() -> None:
    """6 of 126 labels are IG, and 3 % of neutrophils are called so: most of them may be wrong."""
    cells = cells_of({**MIX, "ig": 6})
    right, wrong = of(cells, table(1000)), of(cells, table(1000, neutrophils_as_ig=0.03))
    assert with_errors(right, "ig").low > 0.8
    assert with_errors(wrong, "ig").low < 0.4
    assert with_errors(wrong, "ig").high < with_errors(right, "ig").high


def test_interval_of_a_small_validation_is_wider_than_that_of_a_large_one() -> None:
    cells = cells_of(MIX)
    assert width(of(cells, table(50)), "neutrophil") > width(of(cells, table(5000)), "neutrophil")


def test_interval_of_erythroblasts_is_per_100_leukocytes() -> None:
    interval = with_errors(of(cells_of(MIX), table(5000)), "erythroblast")
    assert interval.low == pytest.approx(1.2, abs=0.4)
    assert interval.high == pytest.approx(6.2, abs=1.3)


def test_interval_when_a_person_has_seen_every_cell_is_that_of_sampling() -> None:
    found = of(cells_of(MIX, reviewed_by="U1"), table(50, neutrophils_as_ig=0.5))
    assert [c.with_errors for c in found.classes] == [c.sampling for c in found.classes]
    assert found.erythroblasts.with_errors == found.erythroblasts.sampling
    assert found.errors_from == ALL_SEEN


def test_interval_goes_over_to_that_of_sampling_while_cells_are_reviewed() -> None:
    cells = [*cells_of({**MIX, "neutrophil": 119}, reviewed_by="U1"), *cells_of({"neutrophil": 1})]
    cells[-1] = replace(cells[-1], image="the last")
    found = of(cells, table(1000))
    for result in found.classes:
        assert result.sampling is not None
        interval = with_errors(found, result.name)
        # Monte Carlo noise alone is some tenths of a point.
        assert interval.low == pytest.approx(result.sampling.low, abs=1.0)
        assert interval.high == pytest.approx(result.sampling.high, abs=1.0)


def test_interval_narrows_with_the_cells_that_a_person_has_seen() -> None:
    bad = table(50, neutrophils_as_ig=0.2)
    cells = cells_of({"neutrophil": 100, "ig": 100})
    half = [replace(c, reviewed_by="U1") if n % 2 else c for n, c in enumerate(cells)]
    all_seen = [replace(c, reviewed_by="U1") for c in cells]
    widths = [width(of(some, bad), "ig") for some in (cells, half, all_seen)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[2] + 2


def test_reviewed_cells_count_by_their_class_and_not_by_their_label() -> None:
    """All cells labelled IG were looked at, and none was one."""
    wrong = [replace(c, label="neutrophil", reviewed_by="U1") for c in cells_of({"ig": 10})]
    cells = [*cells_of({"neutrophil": 150, "lymphocyte": 40}), *wrong]
    interval = with_errors(of(cells, table(200)), "ig")
    assert interval.low == 0
    assert interval.high < 3


def test_interval_has_the_same_bytes_twice_and_others_with_another_seed() -> None:
    cells = cells_of(MIX)
    first, second, other = (repr(of(cells, table(50), seed)) for seed in ("S1", "S1", "S2"))
    assert first == second
    assert first != other
    assert repr(of(cells[::-1], table(50))) == first


def test_interval_has_the_same_bytes_in_a_new_process() -> None:
    code = (
        "from tests.edge.results.differential.test_intervals import *\n"
        "print(repr(of(cells_of(MIX), table(50))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert done.stdout.strip() == repr(of(cells_of(MIX), table(50)))


def test_interval_of_one_cell_says_next_to_nothing() -> None:
    interval = with_errors(of(cells_of({"monocyte": 1}), table(50)), "monocyte")
    assert interval.low < 20
    assert interval.high > 99


def test_interval_of_unidentified_cells_alone_is_none() -> None:
    found = of(cells_of({None: 50}), table(50))
    assert {c.with_errors for c in found.classes} == {None}
    assert found.erythroblasts.with_errors is None
    assert found.errors_from == "none: no leukocyte was identified"


def test_interval_of_hardly_any_leukocytes_is_finite() -> None:
    cells = [
        *cells_of({"platelet": 200}, reviewed_by="U1"),
        *cells_of({"ig": 1, "erythroblast": 9}),
    ]
    interval = with_errors(of(cells, table(50)), "erythroblast")
    assert 0 <= interval.low < interval.high <= 1_000_000


def test_interval_of_cells_of_two_graphs_uses_the_errors_of_each() -> None:
    by_good, by_bad = cells_of({"ig": 50, "neutrophil": 50}), cells_of({"monocyte": 100})
    graph_of = {c.image: "good" for c in by_good} | {c.image: "bad" for c in by_bad}
    swapped = {image: "bad" if graph == "good" else "good" for image, graph in graph_of.items()}
    tables = {"good": table(2000), "bad": table(2000, neutrophils_as_ig=0.5)}
    low = []
    for graphs in (graph_of, swapped):
        errors = ModelErrors(tables, graphs, "both")
        found = differential([*by_good, *by_bad], rejected=0, seed="S1", errors=errors)
        low.append(with_errors(found, "ig").low)
    assert low[0] > 15
    assert low[1] < 5


def test_interval_is_none_where_a_cell_that_nobody_saw_has_no_table() -> None:
    cells = cells_of(MIX)
    errors = errors_of(cells[1:], table(50))
    found = differential(cells, rejected=0, seed="S1", errors=replace(errors, missing="none: why"))
    assert {c.with_errors for c in found.classes} == {None}
    assert found.errors_from == "none: why"
    seen = [replace(cells[0], reviewed_by="U1"), *cells[1:]]
    assert with_errors(differential(seen, rejected=0, seed="S1", errors=errors), "ig").high > 0


def test_interval_is_none_for_cells_of_another_laboratory() -> None:
    cells = [replace(c, is_familiar=n % 5 > 0) for n, c in enumerate(cells_of(MIX))]
    found = of(cells, table(50))
    assert {c.with_errors for c in found.classes} == {None}
    assert found.errors_from.startswith("none: 44 of 219 cells do not look like")
