"""What a receiver holds after resends and corrections."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from edge.results.document.result import SlideResult, State
from edge.results.formats.fhir.form import FHIR, FHIR_OPENELIS
from edge.results.formats.format import Context, Site
from tests.support.fhir import openelis
from tests.support.fhir.server import Server
from tests.support.slides import differential_of, simulated_results


def corrected_slides(count: int) -> Iterator[list[SlideResult]]:
    """Slides with a correction, with all of their results."""
    slides = itertools.groupby(simulated_results(1000, seed=5), key=lambda one: one.slide_key)
    corrected = (
        found for _, all_of in slides if (found := list(all_of))[-1].state is State.CORRECTED
    )
    return itertools.islice(corrected, count)


def post(server: Server, result: SlideResult, context: Context) -> None:
    server.post(json.loads(FHIR.write(result, context)))


def test_server_sent_the_same_bundle_again_holds_no_more(context: Context) -> None:
    server = Server()
    result = next(simulated_results(1, seed=1))
    post(server, result, context)
    before = {url: list(held) for url, held in server.versions.items()}
    post(server, result, context)
    assert server.versions == before


def test_server_sent_all_results_of_a_slide_holds_one_report_that_is_the_last(
    context: Context,
) -> None:
    server = Server()
    (slide,) = corrected_slides(1)
    for result in slide:
        post(server, result, context)
    (report,) = server.current("DiagnosticReport")
    observations = [server.read(link["reference"]) for link in report["result"]]
    assert report["status"] == "corrected"
    assert {one["status"] for one in observations} == {"corrected"}
    # Nothing of an earlier result is left over beside it.
    assert len(server.current("Observation")) == len(observations)
    assert len(server.current("Specimen")) == 1
    # Each result has a Provenance of its own, which stays.
    assert len(server.current("Provenance")) == len(slide)
    (held,) = (one for url, one in server.versions.items() if url.startswith("DiagnosticReport/"))
    assert [one["status"] for one in held] == [one.state.value for one in slide]


def test_server_sent_a_correction_without_leukocytes_keeps_no_value_of_before(
    context: Context,
) -> None:
    server = Server()
    slides = simulated_results(1000, seed=5)
    final = next(one for one in slides if one.state is State.FINAL and one.differential.wbc)
    post(server, final, context)
    held = {one["identifier"][0]["value"] for one in server.current("Observation")}
    none = differential_of((), rejected=0, wbc=final.differential.wbc)
    corrected = replace(
        final,
        state=State.CORRECTED,
        revision=final.revision + 1,
        completed=final.completed + timedelta(minutes=1),
        differential=none,
        cells=(),
        reason="the cells were another patient's",
        replaces=final.result_id,
    )
    post(server, corrected, context)
    now = server.current("Observation")
    assert {one["identifier"][0]["value"] for one in now} == held
    assert {one["status"] for one in now} == {"corrected"}


def test_server_sent_two_slides_shares_the_devices_only(context: Context) -> None:
    server = Server()
    one = next(simulated_results(1, seed=1))
    post(server, one, context)
    devices = len(server.current("Device"))
    post(server, replace(one, slide_id="another"), context)
    assert len(server.current("Device")) == devices
    assert len(server.current("DiagnosticReport")) == 2
    assert len(server.current("Specimen")) == 2


def test_server_finds_a_device_whose_name_has_signs_of_a_search(context: Context) -> None:
    server = Server()
    site = Site(device="a|b,c$d\\e&f=g+h%20 ü#?")
    for result in simulated_results(2, seed=1):
        post(server, result, Context(context.codes, site))
    workstations = [one for one in server.current("Device") if "version" not in one]
    assert len(workstations) == 1


def test_openelis_sent_a_hundred_corrections_links_each_changed_value(context: Context) -> None:
    for slide in corrected_slides(100):
        staging = openelis.Staging()
        *_, final, corrected = slide
        first = openelis.read(json.loads(FHIR_OPENELIS.write(final, context)))
        second = openelis.read(json.loads(FHIR_OPENELIS.write(corrected, context)))
        staging.insert(first)
        staging.insert(second)
        values = {row.test: row.result for row in first}
        changed = {row.test for row in second if row.result != values.get(row.test, row.result)}
        assert {new.test for _, new in staging.corrections} == changed
        # An equal value needs no second line.
        assert {row.test for row in staging.skipped} == values.keys() - changed


def test_openelis_sent_a_correction_of_the_same_millisecond_would_lose_it(context: Context) -> None:
    # What `completed` must be later for: the model refuses what OpenELIS drops.
    (slide,) = corrected_slides(1)
    *_, final, corrected = slide
    near = final.completed.replace(microsecond=100)
    staging = openelis.Staging()
    for result, time in ((final, near), (corrected, near + timedelta(microseconds=300))):
        body = FHIR_OPENELIS.write(replace(result, completed=time), context)
        staging.insert(openelis.read(json.loads(body)))
    assert staging.corrections == []
