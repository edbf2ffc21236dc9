from __future__ import annotations

import json
import re
from typing import Any

import pytest

from edge.results.document.result import CELL_CLASSES, NOT_COUNTED
from edge.results.review.page.files import page_file
from edge.trust.unfamiliar import Unfamiliar
from tests.support.page_script import evaluate

TEXTS: dict[str, Any] = json.loads(page_file("texts.json")[0])
SCRIPT = page_file("review.js")[0].decode()
# Text keys that the script puts together.
STEMS = [
    *("cell", "short", "group", "stage", "theme", "col", "list", "diff", "keys", "age"),
    "unfamiliar",
]
PREFIXES = tuple(f"{stem}." for stem in STEMS)


def used() -> set[str]:
    """Every string of the script that is the name of a text."""
    return {text for text in re.findall(r'"([a-z0-9.]+)"', SCRIPT) if text in TEXTS}


def test_every_text_that_the_script_names_is_there() -> None:
    named = set(re.findall(r'\b(?:T|button)\(\s*"([^"]+)"', SCRIPT))
    assert len(named) > 80
    assert named - set(TEXTS) == set()


def test_every_text_is_used() -> None:
    left = {name for name in set(TEXTS) - used() if not name.startswith(PREFIXES)}
    assert left == set()


@pytest.mark.parametrize("label", [*CELL_CLASSES, *NOT_COUNTED, "none"])
def test_label_has_a_name_and_a_short_one(label: str) -> None:
    assert TEXTS[f"cell.{label}"]
    assert len(TEXTS[f"short.{label}"]) <= 4


@pytest.mark.parametrize("reason", Unfamiliar)
def test_reason_why_an_image_is_unfamiliar_has_a_text(reason: Unfamiliar) -> None:
    assert TEXTS[f"unfamiliar.{reason}"]


def test_plural_has_the_forms_of_english() -> None:
    plural = {name: text for name, text in TEXTS.items() if isinstance(text, dict)}
    assert len(plural) > 10
    assert {tuple(sorted(text)) for text in plural.values()} == {("one", "other")}
    assert all("{n}" in text["other"] for text in plural.values())


def test_text_with_one_and_many_is_chosen_by_number() -> None:
    cells = {"one": "{n} cell", "other": "{n} cells"}
    code = "[0, 1, 2].map((n) => page.formatted(given.cells, { n }, 'en'))"
    assert evaluate(code, cells=cells) == ["0 cells", "1 cell", "2 cells"]


def test_text_in_a_language_with_more_forms_is_chosen_by_its_rule() -> None:
    cells = {
        "one": "{n} komórka",
        "few": "{n} komórki",
        "many": "{n} komórek",
        "other": "{n} komórki",
    }
    code = "[1, 3, 7].map((n) => page.formatted(given.cells, { n }, 'pl'))"
    assert evaluate(code, cells=cells) == ["1 komórka", "3 komórki", "7 komórek"]


def test_name_that_looks_like_a_placeholder_stays() -> None:
    assert evaluate("page.formatted('{name}: {x}', { name: '{n}' }, 'en')") == "{n}: {x}"
