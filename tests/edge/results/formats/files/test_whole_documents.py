"""The formats that hold everything: CSV with all columns, and JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import datetime

import pytest

from edge.results.document.from_json import from_json
from edge.results.document.result import SlideResult, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.document import JSON
from edge.results.formats.files.generic import GENERIC
from edge.results.formats.format import Context, Site
from tests.support.slides import differential_of, simulated_results

CONTEXT = Context(load_code_map(), Site())
RESULTS = tuple(simulated_results(40, seed=13))
FINAL = next(r for r in RESULTS if r.state is State.FINAL)


def row_of(result: SlideResult) -> dict[str, str]:
    content = GENERIC.write(result, CONTEXT).decode()
    (row,) = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    assert content.endswith("\r\n")
    return row


def test_csv_gives_each_value_of_a_class_as_it_is() -> None:
    for result in RESULTS:
        row = row_of(result)
        for one in result.differential.classes:
            assert int(row[f"{one.name}_count"]) == one.count
            assert int(row[f"{one.name}_percent"]) == one.percent
            assert float(row[f"{one.name}_share"]) == one.share
            assert one.sampling
            assert float(row[f"{one.name}_sampling_low"]) == one.sampling.low
            assert one.with_errors
            assert float(row[f"{one.name}_with_errors_high"]) == one.with_errors.high
            absolute = row[f"{one.name}_absolute"]
            assert (float(absolute) if absolute else None) == one.absolute


def test_csv_says_who_verified_what_and_when() -> None:
    for result in RESULTS:
        row = row_of(result)
        assert row["sample_id"] == result.sample_id
        assert row["state"] == result.state
        assert datetime.fromisoformat(row["completed"]) == result.completed
        by = result.verification and result.verification.by
        assert (row["verified_by_id"] or None) == (by and by.id)
        assert row["replaces"] == (result.replaces or "")
        assert int(row["cells_reviewed"]) == sum(c.reviewed_by is not None for c in result.cells)


def test_csv_of_all_results_has_the_same_columns() -> None:
    assert len({tuple(row_of(result)) for result in RESULTS}) == 1


def test_csv_makes_no_formula_and_no_second_line_of_a_note() -> None:
    assert FINAL.verification
    noted = replace(FINAL, verification=replace(FINAL.verification, note="=1+1\n@x"))
    assert row_of(noted)["verification_note"] == r"'=1+1\n@x"


def test_result_without_leukocytes_has_empty_percentages() -> None:
    result = replace(RESULTS[0], differential=differential_of((), rejected=0, wbc=None))
    assert GENERIC.misfit(result, CONTEXT) is None
    row = row_of(result)
    assert (row["neutrophil_percent"], row["leukocytes"]) == ("", "0")


@pytest.mark.parametrize("of", ["sample", "slide"])
@pytest.mark.parametrize("id_", ["=1", "@A", "a\nb", "a "])
def test_csv_does_not_carry_an_id_that_a_spreadsheet_changes(of: str, id_: str) -> None:
    changed = replace(FINAL, sample_id=id_) if of == "sample" else replace(FINAL, slide_id=id_)
    misfit = GENERIC.misfit(changed, CONTEXT)
    assert misfit is not None
    assert misfit.startswith(f"the {of}'s id ")


@pytest.mark.parametrize("id_", ["a,b", 'a"b', "Ä;1", "end", "x" * 200])
def test_csv_quotes_what_a_reader_gives_back(id_: str) -> None:
    result = replace(FINAL, sample_id=id_)
    assert GENERIC.misfit(result, CONTEXT) is None
    assert row_of(result)["sample_id"] == id_


def test_json_gives_back_the_result() -> None:
    for result in RESULTS:
        assert JSON.misfit(result, CONTEXT) is None
        assert from_json(JSON.write(result, CONTEXT)) == result


def test_json_does_not_carry_what_is_no_unicode() -> None:
    broken = replace(FINAL, sample_id="S\udcff1")
    assert JSON.misfit(broken, CONTEXT) == "an id or an image's name is no Unicode text"
