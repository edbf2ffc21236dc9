"""Tests for edge.results.document: to_json, from_json, consistency."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest

import edge
from edge.results.document.from_json import from_json
from edge.results.document.result import (
    ERYTHROBLAST,
    PLATELET,
    Flag,
    FlagCode,
    Person,
    SlideResult,
    State,
    Verification,
)
from edge.results.document.to_json import to_json
from tests.support.slide_results import COUNTS, PERSON, START, made_result
from tests.support.slides import simulated_results

SCHEMA = json.loads((Path(edge.__file__).parent / "schemas" / "edge-result-1.json").read_text())
VARIED = [
    made_result(),
    made_result(slide_id=None),
    made_result("ä|^\"'=1 ", counts=COUNTS | {ERYTHROBLAST: 7, PLATELET: 12, None: 4}),
    made_result(state=State.FINAL),
    made_result(state=State.FINAL, revision=2, counts=COUNTS | {"artefact": 1, "other": 2}),
    made_result(state=State.CORRECTED, revision=3, reason="a blast was taken for a lymphocyte"),
]


def changed(result: SlideResult, change: Callable[[dict[str, Any]], object]) -> bytes:
    fields = json.loads(to_json(result))
    change(fields)
    return json.dumps(fields).encode()


@pytest.mark.parametrize("result", VARIED)
def test_json_of_result_is_valid_and_gives_back_the_same_result_and_bytes(
    result: SlideResult,
) -> None:
    content = to_json(result)
    jsonschema.validate(json.loads(content), SCHEMA)
    assert from_json(content) == result
    assert to_json(from_json(content)) == content


def test_json_of_simulated_slides_is_valid_and_the_same_again() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for number, result in enumerate(simulated_results(60, seed=13)):
        content = to_json(result)
        if number % 12 == 0:  # the judge takes 0.1 s for a slide
            validator.validate(json.loads(content))
        assert from_json(content) == result
        assert to_json(from_json(content)) == content


def test_json_with_flags_times_and_every_optional_value_is_the_same_again() -> None:
    base = made_result(state=State.FINAL)
    result = replace(
        base,
        completed=datetime(2026, 11, 23, 9, 14, 3, 7, tzinfo=timezone(timedelta(hours=5.5))),
        collected=datetime(2026, 11, 22, 23, 0, tzinfo=ZoneInfo("Europe/Berlin")),
        verification=Verification(PERSON, START, "two lines\nof text"),
        rejected_images=("S000123/slide-1/9998.jpg",),
        cells=(
            replace(
                base.cells[0],
                is_familiar=False,
                confidence=1.0,
                unfamiliar="blurred",
                during_drift=True,
            ),
            *base.cells[1:],
        ),
        differential=replace(
            base.differential,
            rejected=1,
            wbc=7.3,
            flags=(Flag(FlagCode.OTHER_CELLS, "1 cell is of another kind"),),
        ),
    )
    content = to_json(result)
    jsonschema.validate(json.loads(content), SCHEMA)
    assert from_json(content) == result
    assert json.loads(content)["collected"] == "2026-11-22T23:00:00+01:00"
    assert json.loads(content)["completed"] == "2026-11-23T09:14:03.000007+05:30"


def test_to_json_time_without_zone_is_refused() -> None:
    result = replace(made_result(), completed=datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        to_json(result)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.update(schema="edge-result/2"), "schema is not one of edge-result/1"),
        (lambda f: f.update(extra=1), "extra is not a known key"),
        (lambda f: f.pop("cells"), "cells is missing"),
        (lambda f: f.update(revision=True), "revision is no whole number"),
        (lambda f: f.update(revision=2), "does not follow from"),
        (lambda f: f.update(sample_id="S000124"), "does not follow from"),
        (lambda f: f.update(state="done"), "state is not one of preliminary, final, corrected"),
        (lambda f: f.update(completed="2026-11-23 09:14:03+01:00"), "completed is wrong"),
        (lambda f: f.update(completed="2026-11-23T09:14:03"), "completed is wrong"),
        (lambda f: f.update(completed="2026-02-30T09:14:03Z"), "does not exist"),
        (lambda f: f.update(cells={}), "cells is no list"),
        (lambda f: f["cells"].append(3), r"cells\[100\] is no object"),
        (lambda f: f["cells"][0].update(sha256="A" * 64), r"cells\[0\].sha256 is no SHA-256"),
        (lambda f: f["cells"][0].update(confidence=1.5), "confidence is no number from 0 to 1"),
        (lambda f: f["cells"][0].update(is_familiar=0), "neither true nor false"),
        (lambda f: f["cells"][0].update(during_drift=False), "is not true, and is left out"),
        (lambda f: f["cells"][1].update(image=f["cells"][0]["image"]), "comes twice"),
        (lambda f: f["cells"][1].update(sha256=f["cells"][0]["sha256"]), "counted twice"),
        (lambda f: f["cells"][0].update(label="blast"), "unknown label"),
        (lambda f: f["cells"][0].update(label="artefact"), "only a person"),
        (lambda f: f["cells"][0].update(label="ig"), "differs from the number of cells"),
        (lambda f: f["cells"].reverse(), "order of their images"),
        (lambda f: f["differential"].update(unidentified=1), "unidentified or rejected differs"),
        (lambda f: f["differential"].update(rejected=1), "unidentified or rejected differs"),
        (lambda f: f["differential"].update(leukocytes=99), "not the sum of their classes"),
        (lambda f: f["differential"]["classes"].pop(), "the classes are not neutrophil"),
        (lambda f: f["differential"]["classes"][0].update(percent=59), "do not sum to 100"),
        (lambda f: f["differential"]["classes"][0].update(percent=None), "do not sum to 100"),
        (
            lambda f: f["differential"]["classes"][0].update(sampling={"low": 2, "high": 1}),
            "high is no number from 2",
        ),
        (lambda f: f.update(reason="why"), "a corrected result has a reason"),
        (lambda f: f.update(state="corrected", reason="why"), "first revision cannot be"),
        (lambda f: f.update(state="final"), "final result has no verification"),
    ],
)
def test_from_json_document_changed_says_why(
    change: Callable[[dict[str, Any]], object], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        from_json(changed(made_result(), change))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f["cells"][5].update(reviewed_by=None), "nobody reviewed some cells"),
        (lambda f: f.update(state="preliminary"), "a preliminary result has a verification"),
        (lambda f: f["verification"]["by"].update(name=" "), "names nobody"),
        (lambda f: f["verification"]["by"].update(id=""), "id is no text with characters"),
        (lambda f: f.update(verification=None), "has no verification"),
        (
            lambda f: (f["cells"][0].update(label=None), f["differential"].update(unidentified=1)),
            "have no label",
        ),
        (lambda f: f.update(replaces="A" * 20), "does not name the revision before"),
    ],
)
def test_from_json_final_document_that_nobody_signed_is_refused(
    change: Callable[[dict[str, Any]], object], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        from_json(changed(made_result(state=State.FINAL), change))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"NaN", b'{"a":' * 9999])
def test_from_json_bytes_that_are_no_document_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(content)


def test_from_json_every_cut_of_a_document_is_refused() -> None:
    content = to_json(made_result(counts={"neutrophil": 1}))
    for length in range(len(content) - 2):
        with pytest.raises(ValueError, match=r"."):
            from_json(content[:length])


def test_result_id_of_revisions_differs_and_slide_key_does_not() -> None:
    first, second = made_result(), made_result(revision=2)
    assert first.slide_key == second.slide_key
    assert first.result_id != second.result_id
    assert second.replaces == first.result_id
    assert Person("a", "b") != Person("b", "a")
