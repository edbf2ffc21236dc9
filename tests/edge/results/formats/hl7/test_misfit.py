from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edge.results.document.result import Person, SlideResult, State, Verification
from edge.results.formats.codes import PANEL, CodeMap
from edge.results.formats.format import Context, Site
from edge.results.formats.hl7.messages import ORU, OUL
from tests.support.hl7.bridge import read_as_bridge
from tests.support.slides import simulated_results

RESULTS = list(simulated_results(60, seed=3))
PRELIMINARY = next(r for r in RESULTS if r.state is State.PRELIMINARY)
FINAL = next(r for r in RESULTS if r.state is State.FINAL)
CORRECTED = next(r for r in RESULTS if r.state is State.CORRECTED)
UNREADABLE = [
    *(f"S{delimiter}1" for delimiter in "|^&~\\"),
    *("S\r1", "S\n1", "S\x0b1", "S\x1c1", "S\x001", "S\x7f1", "S\x851", "S\u20281", "S\udcff1"),
    *("", " ", " S1", "S1 ", "S1\t", '""'),
]


@pytest.mark.parametrize("result", [PRELIMINARY, FINAL, CORRECTED])
def test_misfit_of_a_good_result_is_none(result: SlideResult, context: Context) -> None:
    assert ORU.misfit(result, context) is None
    assert OUL.misfit(result, context) is None


@pytest.mark.parametrize("sample_id", ["S000123", "=26-1", "Prøve 7", "A,B\"C'", "00012", "S" * 22])
def test_misfit_of_an_id_that_arrives_unaltered_is_none(sample_id: str, context: Context) -> None:
    result = replace(PRELIMINARY, sample_id=sample_id)
    assert ORU.misfit(result, context) is None
    assert read_as_bridge(ORU.write(result, context)).accession == sample_id


@pytest.mark.parametrize("sample_id", [*UNREADABLE, "S" * 23], ids=ascii)
def test_misfit_of_a_sample_id_says_why_without_the_id(sample_id: str, context: Context) -> None:
    reason = ORU.misfit(replace(PRELIMINARY, sample_id=sample_id), context)
    assert reason
    assert "the sample's id" in reason
    assert reason.isprintable()
    assert len(sample_id) < 2 or sample_id == '""' or sample_id not in reason


@pytest.mark.parametrize("slide_id", [*UNREADABLE, "s" * 61], ids=ascii)
def test_misfit_of_a_slide_id_says_why(slide_id: str, context: Context) -> None:
    reason = OUL.misfit(replace(PRELIMINARY, slide_id=slide_id), context)
    assert reason
    assert "the slide's id" in reason


@pytest.mark.parametrize("sample_id", ["S|1", "S^1&2", "S\\1"])
def test_bridge_misreads_an_escaped_id_which_is_why_it_is_held(
    sample_id: str, context: Context
) -> None:
    message = ORU.write(replace(PRELIMINARY, sample_id=sample_id), context)
    assert read_as_bridge(message).accession != sample_id


def _signed_by(identifier: str, name: str) -> SlideResult:
    return replace(
        FINAL, verification=Verification(Person(identifier, name), FINAL.completed, "note")
    )


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (replace(FINAL, verification=None), "names nobody"),
        (_signed_by("u" * 16, "A"), "id of who verified has 16 characters"),
        (_signed_by("u", "A" * 51), "name of who verified has 51 characters"),
        (replace(CORRECTED, reason=None), "does not say of which result and why"),
        (replace(CORRECTED, replaces=None), "does not say of which result and why"),
    ],
)
def test_misfit_of_a_verified_result_says_what_is_missing(
    result: SlideResult, reason: str, context: Context
) -> None:
    assert reason in str(ORU.misfit(result, context))


@pytest.mark.parametrize(
    ("site", "reason"),
    [
        (Site(application="a" * 21), "application has 21"),
        (Site(facility="a" * 21), "facility has 21"),
        (Site(receiver_application="a" * 21), "receiver application has 21"),
        (Site(receiver_facility="a" * 21), "receiver facility has 21"),
        (Site(device="a" * 23), "device has 23"),
    ],
)
def test_misfit_of_a_site_says_which_name_is_too_long(
    site: Site, reason: str, context: Context
) -> None:
    assert reason in str(ORU.misfit(PRELIMINARY, replace(context, site=site)))


def _without_panel(codes: CodeMap) -> CodeMap:
    return replace(codes, method_less={k: v for k, v in codes.method_less.items() if k != PANEL})


def _with_long_code(codes: CodeMap) -> CodeMap:
    long = {k: replace(v, local="N" * 21) for k, v in codes.method_less.items()}
    return replace(codes, method_less=long)


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_without_panel, "no panel"), (_with_long_code, "local code of panel has 21 characters")],
)
def test_misfit_of_a_code_map_says_what_is_wrong(
    change: Callable[[CodeMap], CodeMap], reason: str, context: Context
) -> None:
    changed = replace(context, codes=change(context.codes))
    assert reason in str(ORU.misfit(PRELIMINARY, changed))
