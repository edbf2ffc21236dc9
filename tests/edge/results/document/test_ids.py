"""Tests for edge.results.document.ids."""

from __future__ import annotations

import unicodedata

import pytest

from edge.results.document.ids import alike_form, unfit_id


@pytest.mark.parametrize("text", ["S000123", "=W1234 12 123456", "Müller", "a,b|^~\\&", "12E4"])
def test_unfit_id_of_usable_id_is_none(text: str) -> None:
    assert unfit_id(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (" S1", "begins or ends with a space"),
        ("S1\u00a0", "begins or ends with a space"),
        ("S\x001", "control character"),
        ("S\t1", "control character"),
        ("S\r\n1", "control character"),
        ("S\u200b1", "control character or an invisible"),
        ("\ufeffS1", "control character or an invisible"),
        ("S\u202e1", "control character or an invisible"),
        ("S\u20281", "control character or an invisible"),
        ("S1\ufe0f", "control character or an invisible"),
        ("S\u034f1", "control character or an invisible"),
        ("S1\u3164", "control character or an invisible"),
        ("S1\u2800", "control character or an invisible"),
        ("S1\U000e0101", "control character or an invisible"),
        ("S\ud8001", "control character or an invisible"),
        ("M\\xfcller", "not UTF-8"),
        ("1,23E+11", "a spreadsheet has shortened"),
        ("4e+09", "a spreadsheet has shortened"),
    ],
)
def test_unfit_id_of_id_that_an_importer_would_change_says_why(text: str, why: str) -> None:
    assert why in (unfit_id(text) or "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", unicodedata.normalize("NFD", "Müller")),
        ("s1", "S1"),
        ("S1", " S1 "),
        ("STRASSE", "straße"),
        ("S1", "\uff33\uff11"),
        ("a  b", "a b"),
    ],
)
def test_alike_form_of_ids_that_a_lis_may_take_for_one_is_equal(one: str, other: str) -> None:
    assert alike_form(one) == alike_form(other)


@pytest.mark.parametrize(("one", "other"), [("S1", "S01"), ("S1", "S-1"), ("Muller", "Müller")])
def test_alike_form_of_different_ids_differs(one: str, other: str) -> None:
    assert alike_form(one) != alike_form(other)
