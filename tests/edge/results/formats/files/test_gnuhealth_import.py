"""GNU Health lab itself takes our files through Tryton's import.

It is installed on the first run, which takes some minutes and 300 MB in the user's cache folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from edge.results.document.result import SlideResult
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.gnuhealth import GNU_HEALTH
from edge.results.formats.format import Context, Site
from tests.support.gnuhealth.lab import GnuHealth, new_gnuhealth
from tests.support.slides import simulated_results

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("EDGE_FULL_TESTS"),
        reason="one of the long list: EDGE_FULL_TESTS=1 installs GNU Health lab (300 MB)",
    ),
    # The first run installs.
    pytest.mark.timeout(3000),
]

CONTEXT = Context(load_code_map(None), Site())
SLIDES = 20
# As the test type "COMPLETE BLOOD COUNT" has them, but for the last.
PERCENTS = ("NEU%", "EO%", "BAS%", "LYM%", "MON%", "IG%")
NUMBERS = ("NEU", "EO", "BAS", "LYM", "MON", "IG")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> GnuHealth:
    return new_gnuhealth(tmp_path_factory.mktemp("gnuhealth"))


def slides() -> list[SlideResult]:
    """Twenty slides with all their revisions."""
    return list(simulated_results(SLIDES, seed=13))


def import_all(lab: GnuHealth, folder: Path, contents: Sequence[bytes]) -> list[dict[str, Any]]:
    files = [folder / f"{number:03}.csv" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return lab.do([("import", str(file)) for file in files])


def values(answer: dict[str, Any]) -> dict[str, tuple[float | None, str, str | None]]:
    (result,) = answer["results"]
    assert all(line["name"] == line["code"] for line in result["criteria"])
    return {
        line["code"]: (line["value"], line["text"] or "", line["unit"])
        for line in result["criteria"]
    }


def expected(result: SlideResult) -> dict[str, tuple[float | None, str, str | None]]:
    found = result.differential
    seen = "present" if found.platelets else "not seen"
    numbers = zip(NUMBERS, found.classes, strict=True)
    return {
        **{code: (one.percent, "", "%") for code, one in zip(PERCENTS, found.classes, strict=True)},
        **{
            code: (one.absolute, "", "10^3/uL") for code, one in numbers if one.absolute is not None
        },
        "NRBC/100 WBC": (found.erythroblasts.per_100_wbc, "", None),
        "PLT seen": (None, seen, None),
        "Leukocytes counted": (found.leukocytes, "", None),
    }


def test_slides_arrive_as_drafts_with_every_value(lab: GnuHealth, tmp_path: Path) -> None:
    results = slides()
    assert {GNU_HEALTH.misfit(result, CONTEXT) for result in results} == {None}
    answers = import_all(lab, tmp_path, [GNU_HEALTH.write(result, CONTEXT) for result in results])
    assert {answer["error"] for answer in answers} == {None}
    assert [values(answer) for answer in answers] == [expected(result) for result in results]
    arrived = [answer["results"][0] for answer in answers]
    assert [one["sample"] for one in arrived] == [result.sample_id for result in results]
    assert {(one["state"], one["source_type"], one["test"]) for one in arrived} == {
        ("draft", "other_source", "CBC")
    }
    assert [one["analysed"] for one in arrived] == [
        result.completed.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
        for result in results
    ]
    assert all(
        result.result_id in one["remark"] for one, result in zip(arrived, results, strict=True)
    )


@pytest.mark.parametrize("sample_id", ["S,1", 'S"1', "A9999 26 123456", "Ä|1", "標本1"])
def test_id_arrives_unchanged(lab: GnuHealth, tmp_path: Path, sample_id: str) -> None:
    odd = replace(slides()[0], sample_id=sample_id)
    (answer,) = import_all(lab, tmp_path, [GNU_HEALTH.write(odd, CONTEXT)])
    assert answer["results"][0]["sample"] == sample_id


# What is planted into a good file, and what it then is.
FAULTS = {
    "decimal comma": (b",NEU%,NEU%,", b',NEU%,NEU%,"60,5",,%\r\n,,,,,NEU%,NEU%,'),
    "word for a number": (b",LYM%,LYM%,", b",LYM%,LYM%,sixty,,%\r\n,,,,,LYM%,LYM%,"),
    "number with its unit": (b",LYM%,LYM%,", b",LYM%,LYM%,60 %,,%\r\n,,,,,LYM%,LYM%,"),
    "limit for a number": (b",BAS%,BAS%,", b",BAS%,BAS%,<1,,%\r\n,,,,,BAS%,BAS%,"),
    "unknown unit": (b",%\r\n", b",percent\r\n"),
    "unit of UCUM": (b",%\r\n", b",10*9/L\r\n"),
    "unknown test": (b",CBC,", b",DIFF,"),
    "no test": (b",CBC,", b",,"),
    "time of RFC 3339": (b"2026-03-01 ", b"2026-03-01T"),
    "date alone": (b"2026-03-01 ", b"2026-03-01,"),
    "unknown source": (b"other_source,", b"sample,"),
    "no source": (b"\nother_source,", b"\n,"),
    "criterion without a name": (b",EO%,EO%,", b",,EO%,"),
    "second line with a source": (b"\n,,,,,", b"\nother_source,S2,,,,"),
    "column that a person may not write": (b"other_source,test", b"name,test"),
    "unknown column": (b"critearea/units", b"critearea/unit"),
    "row that is cut": (b",,%\r\n", b"\r\n"),
}


def planted(fault: str) -> bytes:
    content = GNU_HEALTH.write(slides()[0], CONTEXT)
    before, after = FAULTS[fault]
    assert before in content
    return content.replace(before, after, 1)


def by_patient(content: bytes) -> bytes:
    """The same file with the sample id as the patient."""
    return content.replace(b"other_source,", b"patient,")


@pytest.fixture(scope="module")
def fault_answers(
    lab: GnuHealth, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    answers = import_all(lab, tmp_path_factory.mktemp("faults"), [planted(one) for one in FAULTS])
    return dict(zip(FAULTS, answers, strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_refused_as_a_whole(
    fault_answers: dict[str, dict[str, Any]], fault: str
) -> None:
    assert fault_answers[fault]["error"]
    assert fault_answers[fault]["results"] == []


def test_result_can_be_given_to_a_patient_afterwards(lab: GnuHealth, tmp_path: Path) -> None:
    (answer,) = import_all(lab, tmp_path, [GNU_HEALTH.write(slides()[0], CONTEXT)])
    name = answer["results"][0]["name"]
    made, assigned = lab.do(
        [("patient", "Ana", "ABC123XYZ", "5550100"), ("assign", name, "ABC123XYZ")]
    )
    assert made["error"] is None
    assert assigned["results"][0]["patient"] == "ABC123XYZ"
    assert values(assigned) == expected(slides()[0])


def test_import_by_patient_takes_a_sample_for_a_telephone_number(
    lab: GnuHealth, tmp_path: Path
) -> None:
    # Why the format names no patient.
    lab.do([("patient", "Eva", "DEF456UVW", "00000007")])
    content = GNU_HEALTH.write(replace(slides()[0], sample_id="00000007"), CONTEXT)
    (answer,) = import_all(lab, tmp_path, [by_patient(content)])
    assert answer["results"][0]["patient"] == "DEF456UVW"


def test_import_by_patient_refuses_an_unknown_one(lab: GnuHealth, tmp_path: Path) -> None:
    (answer,) = import_all(lab, tmp_path, [by_patient(GNU_HEALTH.write(slides()[0], CONTEXT))])
    assert "Relation not found" in answer["error"]


def test_same_file_twice_makes_two_drafts(lab: GnuHealth, tmp_path: Path) -> None:
    # Tryton knows no delivery again: docs/lis.md tells people to look at the result's id.
    content = GNU_HEALTH.write(slides()[0], CONTEXT)
    first, second = import_all(lab, tmp_path, [content, content])
    remarks = [answer["results"][0]["remark"] for answer in (first, second)]
    assert remarks[0] == remarks[1]
