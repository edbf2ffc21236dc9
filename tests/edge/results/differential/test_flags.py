from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.results.differential.flags import flags_of
from edge.results.differential.limits import Limits
from edge.results.document.result import FlagCode, ResultCell
from tests.support.cells import cells_of

CHANGED = "analyzer's images looked different from the laboratory's"


def codes(cells: list[ResultCell], rejected: int = 0, limits: Limits | None = None) -> list[str]:
    return [flag.code.value for flag in flags_of(cells, rejected, limits or Limits())]


def texts(cells: list[ResultCell], rejected: int = 0) -> list[str]:
    return [flag.text for flag in flags_of(cells, rejected, Limits())]


def test_slide_of_enough_sure_cells_has_no_flag() -> None:
    assert flags_of(cells_of({"neutrophil": 90, "ig": 10, None: 5}), 0, Limits()) == ()


def test_flag_of_too_few_counts_leukocytes_alone() -> None:
    cells = cells_of({"neutrophil": 99, "platelet": 50, "erythroblast": 50})
    assert texts(cells) == ["99 leukocytes were counted, a differential needs 100"]
    assert codes(cells, limits=Limits(fewest_leukocytes=99)) == []
    assert texts(cells_of({"ig": 1})) == ["1 leukocyte was counted, a differential needs 100"]


def test_flag_of_no_cells_is_too_few_alone() -> None:
    assert codes([]) == [FlagCode.TOO_FEW_CELLS]


def test_flag_of_unidentified_is_for_more_than_the_limit() -> None:
    assert codes(cells_of({"neutrophil": 180, None: 20})) == []
    assert texts(cells_of({"neutrophil": 179, None: 21})) == [
        "21 of 200 (10.5 %) cells are unidentified, at most 10 % are usual"
    ]


def test_flag_of_low_confidence_counts_labels_that_nobody_has_seen() -> None:
    sure = cells_of({"neutrophil": 168})
    unsure = [replace(cell, confidence=0.79) for cell in cells_of({"monocyte": 32})]
    assert texts([*sure, *unsure]) == [
        "32 of 200 (16.0 %) labels have a confidence below 0.8, at most 15 % are usual"
    ]
    seen = [replace(cell, reviewed_by="U1") for cell in unsure]
    assert codes([*sure, *seen]) == []
    assert codes([*sure, *(replace(cell, confidence=0.8) for cell in unsure)]) == []


def test_flag_of_low_confidence_leaves_unidentified_cells_to_their_own_flag() -> None:
    unidentified = [replace(cell, confidence=0.3) for cell in cells_of({None: 40})]
    assert codes([*cells_of({"neutrophil": 160}), *unidentified]) == ["many_unidentified"]


def test_flag_of_another_laboratory_is_a_share_of_scored_and_unseen_cells() -> None:
    known = [replace(cell, is_familiar=True) for cell in cells_of({"neutrophil": 80})]
    foreign = [replace(cell, is_familiar=False) for cell in cells_of({"monocyte": 20})]
    (text,) = texts([*known, *foreign])
    assert text == (
        "20 of 100 (20.0 %) cells do not look like the laboratory's own images, "
        "at most 10 % are usual"
    )
    assert codes([*known, *(replace(cell, reviewed_by="U1") for cell in foreign)]) == []


def test_flag_of_drift_counts_unseen_cells_that_came_during_an_alarm() -> None:
    usual, changed = cells_of({"neutrophil": 99}), cells_of({"monocyte": 1})
    changed = [replace(cell, during_drift=True) for cell in changed]
    assert texts([*usual, *changed]) == [f"1 of 100 (1.0 %) cells came while the {CHANGED}"]
    assert codes([*usual, *changed]) == ["drift"]
    assert codes([*usual, *(replace(cell, reviewed_by="U1") for cell in changed)]) == []


@pytest.mark.parametrize(("rejected", "text"), [(1, "1 image was"), (3, "3 images were")])
def test_flag_of_rejected_images_says_how_many(rejected: int, text: str) -> None:
    assert texts(cells_of({"ig": 100}), rejected) == [f"{text} rejected and not counted"]


def test_flags_come_in_the_order_of_their_codes() -> None:
    cells = [
        replace(cell, confidence=0.5, is_familiar=False, during_drift=True)
        for cell in cells_of({"neutrophil": 20, None: 20})
    ]
    flags = flags_of(cells, 2, Limits(), left_out=cells_of({"other": 1, "artefact": 3}))
    assert [flag.code.value for flag in flags] == [code.value for code in FlagCode]


@pytest.mark.parametrize(
    "wrong",
    [{"fewest_leukocytes": -1}, {"most_unsure": 1.1}, {"unsure_below": float("nan")}],
)
def test_limits_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Limits(**wrong)
