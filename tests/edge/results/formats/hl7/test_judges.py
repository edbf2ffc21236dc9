from __future__ import annotations

from functools import cache

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.formats.codes import Code
from edge.results.formats.format import Context, Format
from edge.results.formats.hl7.messages import ORU, OUL
from tests.support.hl7.bridge import read_as_bridge
from tests.support.hl7.expected import expected_values, reported
from tests.support.hl7.faults import FAULTS, OF_ORU, OF_OUL, Fault, field, planted
from tests.support.hl7.judges import (
    refused_by_hl7apy,
    sample_of_python_hl7,
    values_of_python_hl7,
)
from tests.support.hl7.odd import with_odd_texts, without_leukocytes
from tests.support.hl7.validator import faults
from tests.support.slides import simulated_results

# The campaign tests/campaigns/hl7_messages.py has 1,000 slides.
SLIDES = 150
PARSED_BACK = 8
# hl7apy needs half a second for one.
OF_HL7APY = 2
BOTH = pytest.mark.parametrize("form", [ORU, OUL], ids=lambda form: form.name)
PLANTED = [
    *((ORU, name, *fault) for name, fault in (FAULTS | OF_ORU).items()),
    *((OUL, name, *fault) for name, fault in (FAULTS | OF_OUL).items()),
]


@cache
def results_of(slides: int) -> list[SlideResult]:
    found = list(simulated_results(slides, seed=20))
    return [*found, *map(with_odd_texts, found[:6]), *map(without_leukocytes, found[:3])]


@cache
def result_in(state: State) -> SlideResult:
    """With a slide id, both intervals, and numbers per litre."""
    return next(
        result
        for result in results_of(SLIDES)
        if result.state is state and result.slide_id and result.differential.wbc
    )


@BOTH
def test_message_of_simulated_slides_has_no_fault(form: Format, context: Context) -> None:
    for result in results_of(SLIDES):
        assert form.misfit(result, context) is None
        assert faults(form.write(result, context)) == []


@BOTH
def test_message_read_by_python_hl7_has_the_values_of_the_result(
    form: Format, context: Context
) -> None:
    for result in results_of(PARSED_BACK):
        message = form.write(result, context)
        expected = expected_values(result, context.codes)
        found = values_of_python_hl7(message)
        assert found.keys() == expected.keys()
        for code, value in expected.items():
            assert (found[code] if isinstance(value, str) else float(found[code])) == value
        assert sample_of_python_hl7(message) == result.sample_id


@BOTH
def test_message_read_by_the_openelis_bridge_has_sample_codes_values_and_units(
    form: Format, context: Context
) -> None:
    for result in results_of(SLIDES):
        reading = read_as_bridge(form.write(result, context))
        expected = reported(result, context.codes)
        by_code = {row.code: row for row in reading.rows}
        assert (reading.analyzer, reading.accession) == ("microscope-edge", result.sample_id)
        # Two rows of one code and time: the second would be lost.
        assert len(by_code) == len(reading.rows)
        for code, value in expected.items():
            row = by_code[code]
            assert row.value == value or str(row.value).startswith(f"{value}^")
        units = {code.loinc: code.unit for code in _codes(result, context)}
        assert {code: by_code[code].unit for code in expected} == {c: units[c] for c in expected}
        assert {row.status for row in reading.rows} == {result.state[0].upper()}


@BOTH
def test_message_of_simulated_slides_is_taken_by_hl7apy(form: Format, context: Context) -> None:
    for result in results_of(SLIDES)[:OF_HL7APY]:
        assert refused_by_hl7apy(form.write(result, context)) is None
    assert (
        refused_by_hl7apy(form.write(with_odd_texts(result_in(State.CORRECTED)), context)) is None
    )


@pytest.mark.parametrize(
    ("form", "state", "fault"),
    [(form, state, fault) for form, _, state, fault in PLANTED],
    ids=[f"{form.name}: {name}" for form, name, _, _ in PLANTED],
)
def test_planted_fault_is_refused(
    form: Format, state: State, fault: Fault, context: Context
) -> None:
    message = form.write(result_in(state), context)
    assert faults(message) == []
    assert faults(planted(message, fault))


@pytest.mark.parametrize(
    ("form", "name"), [(ORU, "no status"), (OUL, "patient without a name"), (OUL, "no order")]
)
def test_planted_fault_of_structure_is_refused_by_hl7apy(
    form: Format, name: str, context: Context
) -> None:
    state, fault = FAULTS[name]
    assert refused_by_hl7apy(planted(form.write(result_in(state), context), fault))


def test_hl7apy_takes_a_number_in_words_which_is_why_there_is_a_validator(
    context: Context,
) -> None:
    message = ORU.write(result_in(State.PRELIMINARY), context)
    assert refused_by_hl7apy(planted(message, field("OBX", 5, "sixty"))) is None


def test_fault_of_encoding_is_refused(context: Context) -> None:
    message = ORU.write(result_in(State.PRELIMINARY), context)
    assert faults(message.replace(b"workstation", "Köln".encode("latin-1")))
    assert faults(message.removesuffix(b"\r"))


def _codes(result: SlideResult, context: Context) -> list[Code]:
    mapping = context.codes
    chosen = mapping.method_less if result.state is State.PRELIMINARY else mapping.manual
    return list(chosen.values())
