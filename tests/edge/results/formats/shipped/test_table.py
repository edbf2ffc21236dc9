"""Every format by its name, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Format, Site
from edge.results.formats.shipped.table import FORMATS
from tests.support.slides import simulated_results

CONTEXT = Context(load_code_map(), Site())
RESULTS = tuple(simulated_results(20, seed=14))

each_format = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)


def test_formats_are_found_by_their_names() -> None:
    assert {name: one.name for name, one in FORMATS.items()} == {name: name for name in FORMATS}
    assert {"openelis", "senaite", "generic", "json"} <= set(FORMATS)


@each_format
def test_verified_result_is_carried_by_every_format(format_: Format) -> None:
    verified = [r for r in RESULTS if r.state is not State.PRELIMINARY]
    assert {format_.misfit(result, CONTEXT) for result in verified} == {None}


@each_format
def test_same_result_gives_the_same_bytes(format_: Format) -> None:
    verified = [r for r in RESULTS if r.state is not State.PRELIMINARY]
    contents = [format_.write(result, CONTEXT) for result in verified]
    assert contents == [format_.write(result, CONTEXT) for result in verified]


@each_format
def test_id_with_half_of_a_surrogate_pair_is_held(format_: Format) -> None:
    result: SlideResult = replace(RESULTS[-1], sample_id="S\udcff1")
    misfit = format_.misfit(result, CONTEXT)
    assert misfit is not None
    misfit.encode()
