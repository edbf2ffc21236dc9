from __future__ import annotations

import pytest

from edge.bench.page.elements.numbers import significant, value_of
from edge.bench.statistics.percentiles import Refused


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.01234, "0.0123"),
        (1.2345, "1.23"),
        (45.67, "45.7"),
        (456.7, "457"),
        (1234.5, "1,234"),
        (-2.5, "-2.50"),
        (1e-12, "0.000000000"),
    ],
)
def test_significant_shows_about_three_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_value_of_a_refused_figure_is_a_dash() -> None:
    assert value_of(Refused("too few")) == "-"
