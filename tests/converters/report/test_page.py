from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from converters.report.page import render_report, templates
from tests.support.images import Jpeg
from tests.support.report.parsed_page import Page, page
from tests.support.report.sample_evidence import FACTS
from tests.support.wheel import ROOT, files_of_wheel


def test_report_of_everything_shows_every_section(evidence: dict[str, Any]) -> None:
    found = page(evidence)
    expected = ["graphs", "accuracy", "classes", "confusion", "confidence", "laboratory"]
    expected += ["disagreements", "gate", "rescue", "effects", "methods", "ranges"]
    assert [i for i in found.values("id") if i in expected] == expected
    assert "graph-1" in found.values("id")
    assert "model" in found.values("id")
    links = [href for href in found.values("href") if href.startswith("#")]
    assert {link[1:] for link in links} <= set(found.values("id"))


def test_report_shows_the_numbers_of_the_evidence(evidence: dict[str, Any]) -> None:
    text = page(evidence).text
    for part in (
        "Of 160 images the original model (FP32) labels 157 right and the quantized one (INT8) 152",
        "3.12 points",
        "95.0% (152 of 160)",
        "p = 0.21",
        "94.3% (66 of 70)",
        "0.02 nats",
        "at most 0.50 points",
        "83% of the arithmetic is still INT8",
        "/blocks/0/Conv now float",
        "20 of 25 layers",
        "INT8 range \N{MINUS SIGN}3.5 to 9.25",
        "percentile 99.99 chosen",
        "images of unlabelled",
        "cell 001.jpg",
        "160 x 160 pixels, RGB",
        "3.8 MB",
        "onnx 1.23.2",
        "b2" * 32,
    ):
        assert part in text


def test_report_is_well_formed_with_unique_ids_and_alternative_texts(
    evidence: dict[str, Any], colour_jpeg: Jpeg
) -> None:
    found = page(evidence, lambda _: colour_jpeg())
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert found.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in found.all("img"))
    assert all(drawing["aria-label"] for drawing in found.all("svg"))
    assert all(header.get("scope") in ("col", "row") for header in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table"))
    assert [
        level for level in ("h1", "main", "header", "footer") if len(found.all(level)) != 1
    ] == []


def test_report_without_facts_is_whole(evidence: dict[str, Any]) -> None:
    Page(render_report(evidence, {}, lambda _: None))


def test_report_does_not_depend_on_time_or_speed(evidence: dict[str, Any]) -> None:
    other = {**FACTS, "times": {"created": "2030-01-01"}, "default_precision": "fp32"}
    assert render_report(evidence, FACTS, lambda _: None) == render_report(
        evidence, other, lambda _: None
    )


def test_report_keeps_the_evidence_unchanged(evidence: dict[str, Any]) -> None:
    before = json.dumps(evidence)
    render_report(evidence, FACTS, lambda _: None)
    assert json.dumps(evidence) == before


def test_wheel_holds_every_template_and_the_style(tmp_path: Path) -> None:
    folder = "converters/report/templates"
    files = [path for path in (ROOT / folder).iterdir() if path.is_file()]
    assert {"report.html.j2", "report.css"} <= {path.name for path in files}
    held = files_of_wheel(tmp_path, ("converters", "edge"))
    assert {name: held[name] for name in held if name.startswith(f"{folder}/")} == {
        f"{folder}/{path.name}": path.read_bytes() for path in files
    }


def test_value_that_the_report_lacks_is_an_error_in_a_template() -> None:
    with pytest.raises(UndefinedError, match="absent"):
        templates().from_string("{{ report.absent }}").render(report=object())
