"""The samples of docs/lis.md and docs/lis-files.md are what the program writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.results.document.consistency import inconsistency
from edge.results.document.result import State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Site
from edge.results.formats.observed import observed
from edge.results.formats.shipped.table import FORMATS
from tests.support.slide_results import made_result

DOCS = Path(__file__).parents[5] / "docs"
PAGE = DOCS / "lis.md"
PAGES = (PAGE, DOCS / "lis-files.md")
CONTEXT = Context(load_code_map(), Site())
SAMPLE = made_result(
    counts={
        "neutrophil": 120,
        "eosinophil": 6,
        "basophil": 2,
        "lymphocyte": 58,
        "monocyte": 12,
        "ig": 2,
        "erythroblast": 1,
        "platelet": 9,
    },
    state=State.FINAL,
    revision=2,
)
# A line of the page that stands for lines of the file.
LEFT_OUT = "…"


def blocks() -> dict[str, str]:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    return dict(re.findall(r"^```\w+ ([\w-]+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def test_sample_is_a_result_without_contradictions() -> None:
    assert inconsistency(SAMPLE) is None


@pytest.mark.parametrize("name", ["openelis", "senaite", "gnuhealth", "generic", "json"])
def test_sample_of_the_page_is_what_is_written(name: str) -> None:
    written = FORMATS[name].write(SAMPLE, CONTEXT).decode().splitlines()
    head, _, tail = blocks()[name].partition(f"{LEFT_OUT}\n")
    if tail:
        tail_lines = tail.splitlines()
        assert written[-len(tail_lines) :] == tail_lines
        assert written[: len(head.splitlines())] == head.splitlines()
    else:
        assert head.splitlines() == written


def test_codes_of_the_page_are_those_of_the_table() -> None:
    row = re.compile(r"^\|(?:[^|]*\|){3} (\d+-\d) \| (\d+-\d) \|$", re.MULTILINE)
    shipped = [
        (codes[0].code.loinc, codes[1].code.loinc)
        for codes in zip(
            observed(made_result(), CONTEXT.codes), observed(SAMPLE, CONTEXT.codes), strict=True
        )
    ]
    assert row.findall(PAGE.read_text("utf-8")) == shipped
