"""Tests for edge.text.counted."""

from __future__ import annotations

import pytest

from edge.text.counted import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (2000, "2,000 images")]
)
def test_counted_has_the_plural_where_it_is_due(number: int, text: str) -> None:
    assert counted(number, "image") == text
