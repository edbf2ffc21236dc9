"""Names of classes, layers and files come from others. None may become markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import nodes

import converters.report
from converters.report.page import render_report, templates
from tests.support.images import Jpeg
from tests.support.report.hostile_evidence import (
    PLACES,
    hostile,
    hostile_evidence,
    hostile_facts,
)
from tests.support.report.parsed_page import Page, page
from tests.support.report.sample_evidence import FACTS, HOSTILE


@pytest.fixture(scope="module")
def hostile_page() -> bytes:
    return render_report(hostile_evidence(), hostile_facts(), lambda _: b"\xff\xd8")


@pytest.mark.parametrize("place", PLACES)
def test_string_from_others_is_shown_as_text(hostile_page: bytes, place: str) -> None:
    shown = Page(hostile_page)
    described = [*shown.values("aria-label"), *shown.values("alt")]
    # The channels of the input are written in capitals.
    written = "\n".join((shown.text, *described)).lower()
    assert hostile(place) in written
    assert f"<script>{place}" not in hostile_page.decode().lower()


def test_page_of_hostile_strings_has_the_elements_of_the_page_of_harmless_ones(
    hostile_page: bytes,
) -> None:
    def harmless(document: Any) -> Any:
        if isinstance(document, dict):
            return {harmless(key): harmless(value) for key, value in document.items()}
        if isinstance(document, list):
            return [harmless(value) for value in document]
        if isinstance(document, str):
            return re.sub(r"[<>\"'&]", "", document)
        return document

    plain = render_report(
        harmless(hostile_evidence()), harmless(hostile_facts()), lambda _: b"\xff\xd8"
    )
    found, expected = Page(hostile_page).elements, Page(plain).elements
    assert [(tag, list(attributes)) for tag, attributes in found] == [
        (tag, list(attributes)) for tag, attributes in expected
    ]


def test_report_with_hostile_names_runs_and_loads_nothing(
    evidence: dict[str, Any], colour_jpeg: Jpeg
) -> None:
    content = render_report(evidence, FACTS, lambda _: colour_jpeg())
    found = Page(content)
    assert found.all("script") == []
    assert HOSTILE in found.text
    assert f"{HOSTILE}.jpg" in found.text
    assert any(HOSTILE in label for label in found.values("aria-label"))
    assert not [name for _, names in found.elements for name in names if name.startswith("on")]
    loading = [*found.values("src"), *found.values("srcset"), *found.values("data")]
    assert all(source.startswith("data:image/jpeg;base64,") for source in loading)
    assert all(link.startswith("#") for link in found.values("href"))
    assert not re.search(rb"url\(|@import|http-equiv=.refresh", content)
    assert found.all("link") == []


def test_page_forbids_the_browser_to_load_and_to_run(evidence: dict[str, Any]) -> None:
    policies = [
        meta["content"]
        for meta in page(evidence).all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_no_template_switches_escaping_off() -> None:
    environment = templates()
    assert environment.autoescape is True
    names = environment.list_templates(extensions=["j2", "css"])
    assert "report.html.j2" in names
    for name in names:
        source, _, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr]
        parsed = environment.parse(source)
        filters = {found.name for found in parsed.find_all(nodes.Filter)}
        assert filters <= {"length"}, name
        assert not list(parsed.find_all(nodes.ScopedEvalContextModifier)), name
    # A style sheet is included as a template; it must have nothing that Jinja would act on.
    sheet, _, _ = environment.loader.get_source(environment, "report.css")  # type: ignore[union-attr]
    assert not re.search(r"\{[{%#]", sheet)


def test_drawings_alone_are_markup_made_in_python() -> None:
    folder = Path(converters.report.__file__).parent
    makers = [path.name for path in folder.rglob("*.py") if "Markup(" in path.read_text("utf-8")]
    assert makers == ["shapes.py"]


def test_report_with_file_name_that_is_no_utf8_is_written(evidence: dict[str, Any]) -> None:
    evidence["graphs"]["x86"]["disagreements"][0]["file"] = "cell\udcff.jpg"
    assert "cell?.jpg" in page(evidence).text
