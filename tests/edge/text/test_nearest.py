"""Tests for the known name that a mistyped one is most like."""

from __future__ import annotations

import pytest

from edge.text.nearest import nearest

KNOWN = ("hl7-oru", "hl7-oul", "senaite", "openelis")


@pytest.mark.parametrize(
    ("given", "meant"),
    [("hl7-orr", "hl7-oru"), ("SENAITE", "senaite"), ("open-elis", "openelis"), ("pdf", None)],
)
def test_nearest_is_the_name_that_a_person_meant_or_none(given: str, meant: str | None) -> None:
    assert nearest(given, KNOWN) == meant
