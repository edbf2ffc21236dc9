from __future__ import annotations

import re

import pytest

from edge.results.review.page.files import NAMES, page_file

PAGE = page_file("index.html")[0].decode()
STYLE = page_file("review.css")[0].decode()
SCRIPT = page_file("review.js")[0].decode()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("review.js", "text/javascript; charset=utf-8"),
        ("review.css", "text/css; charset=utf-8"),
        ("texts.json", "application/json"),
    ],
)
def test_file_is_given_with_its_media_type(name: str, media_type: str) -> None:
    content, told = page_file(name)
    assert content
    assert told == media_type


@pytest.mark.parametrize("name", ["", "files.py", "../__init__.py", "texts/en.json", "/review.js"])
def test_file_of_another_name_is_not_given(name: str) -> None:
    with pytest.raises(KeyError):
        page_file(name)


def test_page_asks_for_served_files_alone() -> None:
    asked = re.findall(r'(?:src|href)="([^"]*)"', PAGE)
    assert sorted(asked) == ["/review.css", "/review.js"]
    assert {name.removeprefix("/") for name in asked} < set(NAMES)


def test_page_has_no_inline_script_or_style() -> None:
    assert re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", PAGE) == []


@pytest.mark.parametrize("text", [PAGE, STYLE, SCRIPT], ids=["page", "style", "script"])
def test_file_names_no_other_host(text: str) -> None:
    assert re.findall(r"https?:|[\"'(]//|@import|url\(", text) == []


@pytest.mark.parametrize(
    "maker",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(",
     "new Function", '"style"', "cssText", "createContextualFragment", "srcdoc"],
)  # fmt: skip
def test_script_never_parses_text(maker: str) -> None:
    assert maker not in SCRIPT


def test_script_keeps_no_patient_in_the_browser() -> None:
    # Settings by fixed names, and pending decisions without notes.
    assert sorted(set(re.findall(r'kept\.set\("(\w+)"', SCRIPT))) == ["person", "theme", "tile"]
    assert re.findall(r'sessionStorage\.setItem\("(\w+)"', SCRIPT) == ["pending"]
    assert 'filter((item) => item.body.action !== "note")' in SCRIPT
