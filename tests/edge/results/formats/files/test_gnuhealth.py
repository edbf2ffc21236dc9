"""The file for GNU Health; `test_gnuhealth_import.py` gives it to GNU Health itself."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import datetime
from random import Random

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.codes import CodeMap
from edge.results.formats.files.gnuhealth import COLUMNS, GNU_HEALTH
from edge.results.formats.format import Context, Site
from tests.support.slides import differential_of, simulated_slide

CONTEXT = Context(load_code_map(None), Site())


def rows_of(result: SlideResult) -> list[dict[str, str]]:
    lines = GNU_HEALTH.write(result, CONTEXT).decode().splitlines()
    return list(csv.DictReader(lines, strict=True))


def a_slide() -> SlideResult:
    return simulated_slide(3, Random(1))[0]  # noqa: S311


def test_file_has_one_result_with_a_line_for_each_class() -> None:
    result = a_slide()
    rows = rows_of(result)
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["other_source"] == result.sample_id
    # A line that names a source or a test begins a new result.
    assert {row["source_type"] + row["test"] + row["results"] for row in rows[1:]} == {""}
    percents = {row["critearea/code"]: row["critearea/result"] for row in rows}
    assert [percents[code] for code in ("NEU%", "EO%", "BAS%", "LYM%", "MON%", "IG%")] == [
        str(one.percent) for one in result.differential.classes
    ]


def test_time_is_in_utc_as_tryton_keeps_it() -> None:
    noon = replace(a_slide(), completed=datetime.fromisoformat("2026-03-01T12:00:00+02:00"))
    assert rows_of(noon)[0]["date_analysis"] == "2026-03-01 10:00:00"


def test_remark_says_what_no_person_has_verified() -> None:
    assert "no person has verified it" in rows_of(a_slide())[0]["results"]


def test_remark_of_a_correction_names_who_and_why_and_what_it_replaces() -> None:
    corrected = next(
        result
        for number in range(100)
        for result in simulated_slide(number, Random(number))  # noqa: S311
        if result.state is State.CORRECTED
    )
    remark = rows_of(corrected)[0]["results"]
    assert corrected.verification
    assert corrected.verification.by.name in remark
    assert f"Corrects result {corrected.replaces}: {corrected.reason}" in remark


@pytest.mark.parametrize("sample_id", ["", " S1", "S1 ", "S\n1", "S\x1f1", "S\u200b1"])
def test_id_that_tryton_would_change_is_a_misfit(sample_id: str) -> None:
    odd = replace(a_slide(), sample_id=sample_id)
    misfit = GNU_HEALTH.misfit(odd, CONTEXT)
    assert misfit
    assert "S1" not in misfit


@pytest.mark.parametrize("sample_id", ["S,1", 'S"1', "S|1", "Ä 1", "標本1"])
def test_id_that_tryton_keeps_is_carried_unchanged(sample_id: str) -> None:
    odd = replace(a_slide(), sample_id=sample_id)
    assert GNU_HEALTH.misfit(odd, CONTEXT) is None
    assert rows_of(odd)[0]["other_source"] == sample_id


def test_id_that_a_spreadsheet_would_run_is_a_misfit() -> None:
    assert "formula" in str(GNU_HEALTH.misfit(replace(a_slide(), sample_id="=1"), CONTEXT))


def test_slide_without_leukocytes_is_a_misfit() -> None:
    empty = replace(a_slide(), differential=differential_of((), rejected=0, wbc=None))
    assert "no leukocyte" in str(GNU_HEALTH.misfit(empty, CONTEXT))


def test_code_map_that_reports_nothing_is_a_misfit() -> None:
    nothing = Context(CodeMap({}, {}), Site())
    assert "reports nothing" in str(GNU_HEALTH.misfit(a_slide(), nothing))
