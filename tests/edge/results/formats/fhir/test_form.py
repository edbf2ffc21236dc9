from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from edge.results.document.result import (
    Flag,
    FlagCode,
    ModelIdentity,
    Person,
    SlideResult,
    State,
    Verification,
)
from edge.results.formats.codes import PANEL, CodeMap
from edge.results.formats.fhir.form import FHIR, FHIR_OPENELIS
from edge.results.formats.format import Context, Format, Site
from edge.results.formats.observed import observed
from tests.support.fhir import openelis, reader
from tests.support.slides import differential_of, simulated_results

Json = dict[str, Any]
SLIDES = 60


def written(form: Format, result: SlideResult, context: Context) -> Json:
    assert form.misfit(result, context) is None
    bundle: Json = json.loads(form.write(result, context))
    return bundle


def some_result(state: State) -> SlideResult:
    return next(one for one in simulated_results(50, seed=3) if one.state is state)


def resources(bundle: Json, kind: str) -> list[Json]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [one for one in found if one["resourceType"] == kind]


def test_bundle_read_back_has_the_values_of_the_document(context: Context) -> None:
    for result in simulated_results(SLIDES, seed=21):
        read = reader.read(written(FHIR, result, context))
        wanted = {one.code.loinc: one.value for one in observed(result, context.codes)}
        assert {code: one.value for code, one in read.values.items()} == wanted
        for one in observed(result, context.codes):
            value = read.values[one.code.loinc]
            assert value.unit == one.code.unit
            limits = {"interval-sampling": one.sampling, "interval-with-errors": one.with_errors}
            assert value.intervals == {
                name: (round(limit.low, 2), round(limit.high, 2))
                for name, limit in limits.items()
                if limit is not None
            }


def test_bundle_read_back_says_whose_it_is_and_whom_to_trust(context: Context) -> None:
    for result in simulated_results(SLIDES, seed=22):
        read = reader.read(written(FHIR, result, context))
        verified = result.verification
        assert read.sample_id == result.sample_id
        assert read.slide_id == result.slide_id
        assert read.status == result.state.value
        assert read.completed == result.completed
        assert read.verifier == (verified.by.id if verified else None)
        assert read.replaces == result.replaces
        assert read.models == {(m.name, m.version, m.bundle_sha256) for m in result.models}
        assert read.flags == {flag.code.value: flag.text for flag in result.differential.flags}
        preliminary = result.state is State.PRELIMINARY
        assert read.panel == ("69738-3" if preliminary else "24318-8")


def test_bundle_for_openelis_gives_rows_with_the_values_of_the_document(context: Context) -> None:
    for result in simulated_results(SLIDES, seed=23):
        rows = openelis.read(written(FHIR_OPENELIS, result, context))
        wanted = {
            one.code.loinc: (one.text, one.code.unit or None)
            for one in observed(result, context.codes)
        }
        assert {row.test: (row.result, row.unit) for row in rows} == wanted
        assert {row.accession for row in rows} == {result.sample_id}
        assert {row.completed for row in rows} == {openelis.stored(result.completed)}


@pytest.mark.parametrize("form", [FHIR, FHIR_OPENELIS], ids=lambda form: form.name)
def test_write_same_result_again_gives_the_same_bytes(form: Format, context: Context) -> None:
    one, again = (some_result(State.CORRECTED) for _ in range(2))
    assert form.write(one, context) == form.write(again, context)


def test_label_of_verified_result_says_that_a_model_and_a_person_had_a_part(
    context: Context,
) -> None:
    def labels(state: State) -> set[tuple[str, ...]]:
        bundle = written(FHIR, some_result(state), context)
        kinds = ("DiagnosticReport", "Observation", "Provenance")
        found = [one for kind in kinds for one in resources(bundle, kind)]
        return {tuple(label["code"] for label in one["meta"]["security"]) for one in found}

    assert labels(State.PRELIMINARY) == {("AIAST",)}
    assert labels(State.FINAL) == {("AIAST", "HCPAST")}
    assert labels(State.CORRECTED) == {("AIAST", "HCPAST")}


def test_time_of_a_sample_that_was_taken_before_is_effective_but_for_openelis(
    context: Context,
) -> None:
    result = some_result(State.FINAL)
    taken = result.completed - timedelta(hours=3)
    result = replace(result, collected=taken)
    bundle = written(FHIR, result, context)
    read = reader.read(bundle)
    assert (read.taken, read.completed) == (taken, result.completed)
    (specimen,) = resources(bundle, "Specimen")
    assert datetime.fromisoformat(specimen["collection"]["collectedDateTime"]) == taken
    rows = openelis.read(written(FHIR_OPENELIS, result, context))
    assert {row.completed for row in rows} == {openelis.stored(result.completed)}


def test_correction_names_the_earlier_result_and_its_reason(context: Context) -> None:
    result = some_result(State.CORRECTED)
    bundle = written(FHIR, result, context)
    (origin,) = resources(bundle, "Provenance")
    (report,) = resources(bundle, "DiagnosticReport")
    assert origin["entity"][0]["role"] == "revision"
    assert origin["entity"][0]["what"]["identifier"]["value"] == result.replaces
    assert {"text": result.reason} in origin["reason"]
    assert f"Corrected: {result.reason}" in report["conclusion"]


def test_provenance_names_those_who_reviewed_cells(context: Context) -> None:
    result = some_result(State.FINAL)
    cells = tuple(replace(one, reviewed_by=None) for one in result.cells)
    cells = (replace(cells[0], reviewed_by="mt7"), *cells[1:])
    (origin,) = resources(written(FHIR, replace(result, cells=cells), context), "Provenance")
    agents = {
        (one["type"]["coding"][0]["code"], one["who"].get("identifier", {}).get("value"))
        for one in origin["agent"]
    }
    assert result.verification is not None
    assert agents == {
        ("author", None),
        ("assembler", None),
        ("verifier", result.verification.by.id),
        ("performer", "mt7"),
    }
    (role,) = origin["agent"][-1]["role"]
    assert role["text"] == f"reviewed 1 of {len(cells)} cells"


def test_result_without_leukocytes_says_that_shares_are_unknown(context: Context) -> None:
    result = some_result(State.PRELIMINARY)
    empty = replace(result, cells=(), differential=differential_of((), rejected=0, wbc=None))
    bundle = written(FHIR, empty, context)
    read = reader.read(bundle)
    assert read.values["26511-6"].value is None
    assert read.values["11282-1"].value == 0
    absent = [one for one in resources(bundle, "Observation") if "dataAbsentReason" in one]
    assert len(absent) == 7
    rows = openelis.read(written(FHIR_OPENELIS, empty, context))
    assert {row.test for row in rows} == {"104705-9", "11282-1"}


def test_text_of_report_escapes_markup(context: Context) -> None:
    result = some_result(State.FINAL)
    assert result.verification is not None
    who = Verification(Person("x", "<b>Ada & Co</b>"), result.verification.at)
    bundle = written(FHIR, replace(result, verification=who), context)
    (report,) = resources(bundle, "DiagnosticReport")
    assert "&lt;b&gt;Ada &amp; Co&lt;/b&gt;" in report["text"]["div"]
    assert "<b>" not in report["text"]["div"]


@pytest.mark.parametrize(
    "sample_id",
    [
        "",
        " ",
        "S1 ",
        "\tS1",
        "S\x001",
        "S\n1",
        "S\x7f1",
        "S\x851",
        "S\u20281",
        "S\udc801",
        "S\u200b1",
    ],
)
@pytest.mark.parametrize("form", [FHIR, FHIR_OPENELIS], ids=lambda form: form.name)
def test_misfit_id_that_would_arrive_as_another_is_held_without_the_id(
    form: Format, sample_id: str, context: Context
) -> None:
    result = some_result(State.FINAL)
    said = form.misfit(replace(result, sample_id=sample_id), context)
    assert said is not None
    assert said.startswith("the sample's id ")
    assert "\n" not in said
    assert "S1" not in said
    of_slide = form.misfit(replace(result, slide_id=sample_id), context)
    assert of_slide is not None
    assert of_slide.startswith("the slide's id ")


def test_misfit_id_longer_than_openelis_keeps_is_held_for_it_alone(context: Context) -> None:
    result = replace(some_result(State.FINAL), sample_id="S" * 26)
    assert FHIR.misfit(result, context) is None
    said = "the sample's id has 26 characters, OpenELIS keeps 25"
    assert FHIR_OPENELIS.misfit(result, context) == said


@pytest.mark.parametrize(
    ("state", "changes", "fault"),
    [
        (State.PRELIMINARY, {"state": State.FINAL}, "contradicts who verified it"),
        (State.FINAL, {"state": State.PRELIMINARY}, "contradicts who verified it"),
        (State.CORRECTED, {"reason": None}, "does not say of which result and why"),
        (State.CORRECTED, {"replaces": None}, "does not say of which result and why"),
    ],
)
def test_misfit_state_without_what_it_needs_is_held(
    state: State, changes: Json, fault: str, context: Context
) -> None:
    said = FHIR.misfit(replace(some_result(state), **changes), context)
    assert said is not None
    assert fault in said


@pytest.mark.parametrize(
    "sample_id",
    ["=S1", "S1,2", 'S"1"', "S|1^2&3~4\\5", "S 1", "標本-7", "S\u00a01", "e\u0301", "'<&>'"],
)
@pytest.mark.parametrize("form", [FHIR, FHIR_OPENELIS], ids=lambda form: form.name)
def test_id_with_letters_that_other_formats_refuse_arrives_as_it_is(
    form: Format, sample_id: str, context: Context
) -> None:
    result = replace(some_result(State.FINAL), sample_id=sample_id)
    assert reader.read(written(FHIR, result, context)).sample_id == sample_id
    rows = openelis.read(written(FHIR_OPENELIS, result, context))
    assert {row.accession for row in rows} == {sample_id}
    requests = [entry["request"] for entry in written(form, result, context)["entry"]]
    assert sample_id not in str(requests)


def test_misfit_text_with_control_character_is_held_by_its_name(context: Context) -> None:
    result = some_result(State.CORRECTED)
    assert result.verification is not None
    who = result.verification.by
    at = result.verification.at
    flags = (Flag(FlagCode.LOW_CONFIDENCE, "\x02"),)
    for broken, name in (
        (replace(result, reason="\x1b[31m"), "reason of the correction"),
        (replace(result, verification=Verification(Person(who.id, " "), at)), "name of the person"),
        (replace(result, verification=Verification(Person("", who.name), at)), "id of the person"),
        (replace(result, verification=Verification(who, at, "\x00")), "note of the verification"),
        (replace(result, models=(ModelIdentity("a", "", "b" * 64),)), "version of a model"),
        (
            replace(result, differential=replace(result.differential, flags=flags)),
            "text of flag low_confidence",
        ),
        (
            replace(result, cells=(replace(result.cells[0], reviewed_by=""),)),
            "id of a person who reviewed",
        ),
    ):
        said = FHIR.misfit(broken, context)
        assert said is not None
        assert said.startswith(f"the {name}")
        assert "\x1b" not in said


def test_misfit_site_whose_device_has_no_identifier_is_held(context: Context) -> None:
    result = some_result(State.FINAL)
    said = FHIR.misfit(result, Context(context.codes, Site(device="")))
    assert said is not None
    assert said.startswith("the identifier of the workstation is empty")


def test_misfit_code_map_without_panel_or_values_is_held(context: Context) -> None:
    result = some_result(State.PRELIMINARY)
    codes = context.codes.method_less
    no_panel = CodeMap({key: one for key, one in codes.items() if key != PANEL}, {})
    only_panel = CodeMap({PANEL: codes[PANEL]}, {})
    said = FHIR.misfit(result, Context(no_panel, context.site))
    assert said == "the code map has no panel for preliminary results, a report needs one"
    said = FHIR_OPENELIS.misfit(result, Context(only_panel, context.site))
    assert said == "the code map has no code for any value of the result"


def test_site_without_names_leaves_no_empty_text(context: Context) -> None:
    site = Site(application="", facility="", device="d")
    bundle = FHIR.write(some_result(State.FINAL), Context(context.codes, site))
    assert b'""' not in bundle
    assert b"[]" not in bundle
