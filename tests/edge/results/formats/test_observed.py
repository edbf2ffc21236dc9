"""What a result reports, with its codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.results.document.consistency import inconsistency
from edge.results.document.result import LEUKOCYTES, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.observed import number_text, observed
from tests.support.slides import differential_of, simulated_results

CODES = load_code_map()
RESULTS = tuple(simulated_results(30, seed=7))


def test_simulated_results_do_not_contradict_themselves() -> None:
    assert {inconsistency(result) for result in RESULTS} == {None}


@pytest.mark.parametrize("state", State)
def test_result_reports_the_codes_of_its_state(state: State) -> None:
    result = next(r for r in RESULTS if r.state is state)
    found = {o.code.analyte: o.code.loinc for o in observed(result, CODES)}
    assert found["neutrophil %"] == ("26511-6" if state is State.PRELIMINARY else "23761-0")
    assert "panel" not in found


def test_percents_of_a_result_sum_to_100() -> None:
    for result in RESULTS:
        values = {o.code.analyte: o.value for o in observed(result, CODES)}
        assert sum(float(values[f"{name} %"]) for name in LEUKOCYTES) == 100


def test_numbers_per_litre_are_reported_with_a_leukocyte_count_alone() -> None:
    for result in RESULTS:
        found = {o.code.analyte for o in observed(result, CODES)}
        has_count = result.differential.wbc is not None
        assert {f"{name} #" in found for name in LEUKOCYTES} == {has_count}


def test_result_without_leukocytes_reports_no_percentages() -> None:
    result = replace(RESULTS[0], differential=differential_of((), rejected=0, wbc=None))
    reported = {o.code.analyte: o.value for o in observed(result, CODES)}
    assert reported == {"platelet presence": "not seen", "cells counted": 0}


@pytest.mark.parametrize(
    ("number", "text"), [(60, "60"), (2.5, "2.5"), (1e-05, "0.00001"), (1e16, "10000000000000000")]
)
def test_number_is_written_without_exponent(number: float, text: str) -> None:
    assert number_text(number) == text
