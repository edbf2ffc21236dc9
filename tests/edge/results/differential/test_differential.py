from __future__ import annotations

from dataclasses import replace

import pytest

from edge.errors import ConfigError
from edge.results.differential.differential import differential
from edge.results.document.result import (
    LEUKOCYTES,
    ClassResult,
    Differential,
    Flag,
    FlagCode,
    Interval,
)
from tests.support.cells import cells_of

MIX = {
    "neutrophil": 119,
    "eosinophil": 6,
    "basophil": 1,
    "lymphocyte": 58,
    "monocyte": 13,
    "ig": 3,
    "erythroblast": 7,
    "platelet": 12,
    None: 4,
}


def of_mix(wbc: float | None = None) -> Differential:
    return differential(cells_of(MIX), rejected=2, seed="S1", wbc=wbc)


def of_class(found: Differential, name: str) -> ClassResult:
    return next(result for result in found.classes if result.name == name)


def test_differential_counts_each_kind_of_cell_apart() -> None:
    found = of_mix()
    assert [c.name for c in found.classes] == list(LEUKOCYTES)
    assert [c.count for c in found.classes] == [119, 6, 1, 58, 13, 3]
    assert (found.leukocytes, found.platelets, found.unidentified, found.rejected) == (
        200,
        12,
        4,
        2,
    )
    assert found.erythroblasts.count == 7


def test_differential_percentages_are_of_leukocytes_and_sum_to_100() -> None:
    found = of_mix()
    assert [c.percent for c in found.classes] == [60, 3, 0, 29, 7, 1]
    assert [c.share for c in found.classes] == pytest.approx([59.5, 3, 0.5, 29, 6.5, 1.5])


def test_differential_cells_that_a_person_took_out_make_a_flag_and_change_no_number() -> None:
    cells = cells_of(MIX | {"other": 2, "artefact": 5})
    found = differential(cells, rejected=2, seed="S1")
    flag = Flag(FlagCode.OTHER_CELLS, "2 cells are of another kind and in no count; see the slide")
    assert found == replace(of_mix(), flags=(*of_mix().flags, flag))


def test_differential_gives_erythroblasts_per_100_leukocytes() -> None:
    erythroblasts = of_mix().erythroblasts
    assert erythroblasts.per_100_wbc == 3.5
    # Clopper-Pearson of 7 of 207, 1.370 to 6.843 %, as a ratio to the rest.
    assert erythroblasts.sampling == Interval(1.39, 7.35)


def test_differential_sampling_interval_is_clopper_pearson_of_leukocytes() -> None:
    assert of_class(of_mix(), "ig").sampling == Interval(0.31, 4.32)


def test_differential_with_leukocyte_count_gives_absolute_numbers() -> None:
    assert [c.absolute for c in of_mix(7.25).classes] == [4.31, 0.22, 0.04, 2.1, 0.47, 0.11]
    assert of_mix(7.25).wbc == 7.25
    assert {c.absolute for c in of_mix().classes} == {None}


@pytest.mark.parametrize("wbc", [0.0, -1.0, float("nan"), float("inf"), 7250.0])
def test_differential_with_an_impossible_leukocyte_count_is_refused(wbc: float) -> None:
    with pytest.raises(ConfigError, match="leukocyte count is"):
        of_mix(wbc)


@pytest.mark.parametrize("counts", [{}, {None: 5}, {"platelet": 9, "erythroblast": 2}])
def test_differential_without_leukocytes_has_no_shares(counts: dict[str | None, int]) -> None:
    found = differential(cells_of(counts), rejected=0, seed="S1", wbc=5.0)
    for result in found.classes:
        assert result == ClassResult(result.name, 0, None, None, None, None)
    assert found.erythroblasts.per_100_wbc is None
    assert found.erythroblasts.sampling is None
    assert found.errors_from


def test_differential_of_one_cell_is_sure_of_little() -> None:
    found = differential(cells_of({"monocyte": 1}), rejected=0, seed="S1")
    assert of_class(found, "monocyte").percent == 100
    assert of_class(found, "monocyte").sampling == Interval(2.5, 100.0)
    assert of_class(found, "ig").sampling == Interval(0.0, 97.5)
    assert found.erythroblasts.per_100_wbc == 0.0


def test_differential_of_a_class_of_another_model_is_refused_by_its_name() -> None:
    with pytest.raises(
        ConfigError, match=r"labelled 'blast', 'smudge'; .* neutrophil, .*ig"
    ) as why:
        differential(cells_of({"smudge": 1, "blast": 2, "ig": 1}), rejected=0, seed="S1")
    assert "\n" not in str(why.value)
