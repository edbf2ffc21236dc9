"""Good Bundles are refused by no judge, and each planted fault by one or more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.formats.fhir.form import FHIR, FHIR_OPENELIS
from edge.results.formats.format import Context, Format
from tests.support.fhir import openelis, reader, server
from tests.support.fhir.faults import FAULTS, planted
from tests.support.fhir.libraries import node_refusals, resources_refusals
from tests.support.slides import simulated_results

Json = dict[str, Any]
FORMS: Final = (FHIR, FHIR_OPENELIS)
# All judges together take 0.1 s for a Bundle: the 1,000 slides are for a full run.
IS_FULL_RUN: Final = bool(os.environ.get("EDGE_FULL_TESTS"))
SLIDES: Final = 1000 if IS_FULL_RUN else 6


def written(form: Format, result: SlideResult, context: Context) -> Json:
    assert form.misfit(result, context) is None
    bundle: Json = json.loads(form.write(result, context))
    return bundle


def own_refusals(bundle: Json) -> dict[str, list[str]]:
    """What the modelled systems and fhir.resources say."""
    found = {"fhir.resources": resources_refusals(bundle)}
    for name, judge, refusal in (
        ("openelis", openelis.read, openelis.RefusedError),
        ("server", lambda one: server.Server().post(one), server.RefusedError),
        ("reader", reader.read, reader.RefusedError),
    ):
        try:
            judge(bundle)
        except refusal as error:
            found[name] = [str(error)]
        except (KeyError, TypeError, ValueError) as error:
            found[name] = [repr(error)]
    return {name: refusals for name, refusals in found.items() if refusals}


@pytest.mark.timeout(3600 if IS_FULL_RUN else 180)
def test_good_slides_judged_by_all_are_refused_by_none(context: Context) -> None:
    refused: list[tuple[str, list[str]]] = []

    def judged_by_our_own() -> Iterator[Json]:
        for result in simulated_results(SLIDES, seed=13):
            for form in FORMS:
                bundle = written(form, result, context)
                found = own_refusals(bundle)
                # What a general server is sent has more than OpenELIS takes.
                if form is FHIR:
                    found.pop("openelis", None)
                refused.extend(found.items())
                yield bundle

    answers = node_refusals(judged_by_our_own())
    assert len(answers) > 2 * SLIDES
    assert refused == []
    assert [one for one in answers if one != {"fhir": [], "medplum": []}] == []


@pytest.fixture(scope="module")
def refusals(context: Context) -> dict[str, dict[str, list[str]]]:
    """Who refuses which fault, planted in a final result as OpenELIS takes it."""
    final = next(
        one for one in simulated_results(20, seed=7) if one.state is State.FINAL and one.slide_id
    )
    good = written(FHIR_OPENELIS, final, context)
    broken = planted(good)
    assert own_refusals(good) == {}
    judged = node_refusals([good, *broken.values()])
    assert judged[0] == {"fhir": [], "medplum": []}
    return {
        name: {judge: why for judge, why in {**own_refusals(bundle), **answer}.items() if why}
        for (name, bundle), answer in zip(broken.items(), judged[1:], strict=True)
    }


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_planted_fault_is_refused_by_a_judge(
    name: str, refusals: dict[str, dict[str, list[str]]]
) -> None:
    assert refusals[name] != {}


def test_each_judge_refuses_a_fault(
    refusals: dict[str, dict[str, list[str]]],
) -> None:
    # Without this, a judge that was not installed or says yes to all would go unseen.
    judges = {judge for found in refusals.values() for judge in found}
    assert judges == {"fhir.resources", "fhir", "medplum", "openelis", "server", "reader"}
