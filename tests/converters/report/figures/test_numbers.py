from __future__ import annotations

import pytest

from converters.report.figures.numbers import number, percent, points


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (points(-0.001), "0.00"),
        (points(-1.5), "\N{MINUS SIGN}1.50"),
        (percent(-0.25), "\N{MINUS SIGN}25.0%"),
        (number(0.0018289), "0.00183"),
        (number(-0.00004), "\N{MINUS SIGN}0.00004"),
        (number(0.0), "0"),
        (number(57.583298), "57.6"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected
