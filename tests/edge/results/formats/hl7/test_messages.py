from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

import edge
from edge.results.document.result import ModelIdentity, Person, SlideResult, State, Verification
from edge.results.formats.format import Context, Format, Site
from edge.results.formats.hl7.messages import ORU, OUL
from edge.results.formats.hl7.segment import timestamp
from tests.support.hl7.reading import Segment, read
from tests.support.slides import simulated_results

RESULTS = [replace(r, slide_id="slide-1") for r in simulated_results(60, seed=3)]
BY_STATE = {state: next(r for r in RESULTS if r.state is state) for state in State}
PRELIMINARY, FINAL, CORRECTED = (BY_STATE[state] for state in State)
BOTH = pytest.mark.parametrize("form", [ORU, OUL], ids=lambda form: form.name)


def segments(form: Format, result: SlideResult, context: Context, name: str) -> list[Segment]:
    return [s for s in read(form.write(result, context)) if s.name == name]


@BOTH
def test_message_of_the_same_result_is_the_same_bytes_and_id(
    form: Format, context: Context
) -> None:
    assert form.write(FINAL, context) == form.write(replace(FINAL), context)
    assert segments(form, FINAL, context, "MSH")[0][10] == FINAL.result_id


@BOTH
def test_message_of_the_next_revision_has_another_id(form: Format, context: Context) -> None:
    later = replace(FINAL, revision=FINAL.revision + 1)
    ids = {segments(form, r, context, "MSH")[0][10] for r in (FINAL, later)}
    assert len(ids) == 2


def test_message_names_sender_and_receiver_of_the_site(context: Context) -> None:
    site = Site("edge|7", "Labor", "LIS", "Klinik", "DM96-0042")
    msh = segments(ORU, FINAL, replace(context, site=site), "MSH")[0]
    assert [msh[n] for n in (3, 4, 5, 6)] == ["edge\\F\\7", "Labor", "LIS", "Klinik"]
    obx = segments(ORU, FINAL, replace(context, site=site), "OBX")
    assert {s[18] for s in obx} == {"DM96-0042"}


@BOTH
@pytest.mark.parametrize(
    ("result", "status", "panel"),
    [
        (PRELIMINARY, "P", "69738-3"),
        (FINAL, "F", "24318-8"),
        (CORRECTED, "C", "24318-8"),
    ],
)
def test_message_has_status_and_panel_of_the_state(
    form: Format, result: SlideResult, status: str, panel: str, context: Context
) -> None:
    obr = segments(form, result, context, "OBR")[0]
    assert (obr[25], obr.part(4, 1)) == (status, panel)
    assert {obx[11] for obx in segments(form, result, context, "OBX")} == {status}


@BOTH
def test_message_of_a_preliminary_result_says_that_a_machine_asserted_it(
    form: Format, context: Context
) -> None:
    assert {o.part(17, 4) for o in segments(form, PRELIMINARY, context, "OBX")} == {"AIAST"}
    assert "Not verified by a person" in segments(form, PRELIMINARY, context, "NTE")[0][3]
    assert segments(form, PRELIMINARY, context, "OBR")[0][32] == ""


@BOTH
@pytest.mark.parametrize("result", [FINAL, CORRECTED])
def test_message_of_a_verified_result_names_who_verified(
    form: Format, result: SlideResult, context: Context
) -> None:
    signed = replace(
        result, verification=Verification(Person("amu", "A. Muster"), result.completed)
    )
    assert segments(form, signed, context, "OBR")[0][32] == "amu&A. Muster"
    obx = segments(form, signed, context, "OBX")
    assert {o[16] for o in obx} == {"amu^A. Muster"}
    assert {o.part(17, 1) for o in obx} == {"AI-VERIFIED"}


@BOTH
def test_message_of_a_correction_says_what_it_corrects_and_why(
    form: Format, context: Context
) -> None:
    said = {o.part(3, 1): o[5] for o in segments(form, CORRECTED, context, "OBX")}
    assert (said["REPLACES"], said["REASON"]) == (CORRECTED.replaces, "late cells")
    notes = [note[3] for note in segments(form, CORRECTED, context, "NTE")]
    assert f"Corrects {CORRECTED.replaces}: late cells" in notes


def test_message_leaves_out_the_patient_whom_we_do_not_know(context: Context) -> None:
    for form in (ORU, OUL):
        assert segments(form, FINAL, context, "PID") == []


@BOTH
def test_message_says_when_the_sample_was_taken_if_that_is_known(
    form: Format, context: Context
) -> None:
    taken = datetime(2026, 11, 27, 6, 30, tzinfo=timezone(timedelta(hours=1)))
    for result, observed, collected in (
        (replace(FINAL, collected=taken), "20261127063000.000+0100", "20261127063000.000+0100"),
        (FINAL, timestamp(FINAL.completed), ""),
    ):
        assert segments(form, result, context, "OBR")[0][7] == observed
        assert segments(form, result, context, "SPM")[0][17] == collected


@BOTH
def test_message_counts_what_a_person_took_out(form: Format, context: Context) -> None:
    labels = ("artefact", "artefact", "other")
    cells = [replace(cell, label=label) for cell, label in zip(FINAL.cells, labels, strict=False)]
    result = replace(FINAL, cells=(*cells, *FINAL.cells[3:]))
    counted = {o.part(3, 1): o[5] for o in segments(form, result, context, "OBX")}
    assert (counted["CELLS-ARTEFACT"], counted["CELLS-OTHER"]) == ("2", "1")


def test_message_oul_names_the_slide_as_container(context: Context) -> None:
    assert segments(OUL, FINAL, context, "SAC")[0][3] == "slide-1"
    assert segments(ORU, FINAL, context, "OBR")[0][20] == "slide-1"
    assert segments(OUL, replace(FINAL, slide_id=None), context, "SAC") == []


def test_message_of_long_model_names_has_them_whole_in_one_field(context: Context) -> None:
    model = ModelIdentity(
        "classifier of the university hospital", "2026.11.27-rc1+abcdef", "9" * 64
    )
    ours, theirs = segments(ORU, replace(FINAL, models=(model,)), context, "SFT")
    assert (ours[2], ours[3]) == (edge.__version__, "microscope-edge")
    assert (len(theirs[2]), len(theirs[3]), len(theirs[4])) == (15, 20, 20)
    assert f"{model.name} {model.version}, bundle SHA-256 {'9' * 64}" in theirs[5]


def test_message_of_a_result_without_images_of_platelets_does_not_say_absent(
    context: Context,
) -> None:
    none = replace(FINAL, differential=replace(FINAL.differential, platelets=0))
    obx = next(o for o in segments(ORU, none, context, "OBX") if o[2] == "CE")
    assert obx[5] == "NOT-SEEN^Not seen^99EDGE"
