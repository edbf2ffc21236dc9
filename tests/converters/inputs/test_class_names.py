from __future__ import annotations

import unicodedata

import pytest

from converters.inputs.class_names import caseless, near_miss, normal

CLASSES = ("neutrophil", "érythroblaste", "immature granulocyte")


def test_normal_and_caseless_join_the_two_spellings_of_an_accent() -> None:
    apart = unicodedata.normalize("NFD", "Érythroblaste")
    assert apart != "Érythroblaste"
    assert normal(apart) == "Érythroblaste"
    assert caseless(apart) == caseless("érythroblaste")
    assert normal("ig") != normal("IG")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("Neutrophil", "neutrophil", id="case"),
        pytest.param("neutrophil ", "neutrophil", id="trailing_blank"),
        pytest.param("\u200bneutrophil", "neutrophil", id="zero_width"),
        pytest.param("erythroblaste", "érythroblaste", id="accent"),
        pytest.param("immature_granulocyte", "immature granulocyte", id="underscore"),
        pytest.param("immature\u00a0granulocyte", "immature granulocyte", id="no_break_space"),
        pytest.param("neutrophils", "neutrophil", id="plural"),
        pytest.param("n\u0435utrophil", "neutrophil", id="cyrillic_e"),
    ],
)
def test_near_miss_names_the_class_that_is_meant(name: str, meant: str) -> None:
    assert f"Did you mean {meant!r}?" in near_miss(name, CLASSES)


def test_near_miss_of_another_class_is_nothing() -> None:
    assert near_miss("basophil", CLASSES) == ""
