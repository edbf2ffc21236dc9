from __future__ import annotations

from typing import Any

from converters.report.layers import (
    SHOWN_EFFECTS,
    effects,
    methods,
    rescue_steps,
    worst_tensors,
)
from tests.support.report.parsed_page import page


def test_report_marks_rescue_steps_that_were_taken_back(evidence: dict[str, Any]) -> None:
    steps = evidence["graphs"]["x86"]["rescue_steps"]
    steps[0]["is_kept"], steps[1]["is_kept"] = True, False
    found = page(evidence).text
    assert "/blocks/1/Conv taken back" in found
    assert "/blocks/0/Conv now float" in found
    assert "/blocks/1/Conv now float" not in found


def test_effects_are_the_first_of_all_and_their_bars_shares_of_the_worst(
    evidence: dict[str, Any],
) -> None:
    found = effects(evidence["graphs"]["x86"])
    assert found is not None
    assert (len(found.layers), found.total) == (SHOWN_EFFECTS, 25)
    assert [effect.is_float for effect in found.layers[:3]] == [True, True, False]
    assert 'width="100.0"' in found.layers[0].bar
    assert 'width="50.0"' in found.layers[1].bar


def test_methods_are_listed_best_first_with_the_chosen_one_marked(
    evidence: dict[str, Any],
) -> None:
    found = methods(evidence["graphs"]["x86"])
    names = [(method.name, method.is_chosen) for method in found]
    assert names == [("percentile 99.99", True), ("max", False), ("entropy", False)]


def test_graph_without_measures_of_layers_has_nothing_to_show_of_them() -> None:
    graph: dict[str, Any] = {}
    assert effects(graph) is None
    assert (methods(graph), rescue_steps(graph), worst_tensors(graph)) == ((), (), ())
