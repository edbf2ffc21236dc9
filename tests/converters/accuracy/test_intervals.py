from __future__ import annotations

import pytest

from converters.accuracy.intervals import Share, clopper_pearson


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [  # published limits in per cent
        (0, 100, 0.0, 3.6),
        (5, 100, 1.6, 11.3),
        (50, 100, 39.8, 60.2),
        (10, 200, 2.4, 9.0),
        (100, 100, 96.4, 100.0),
    ],
)
def test_clopper_pearson_gives_published_limits(
    count: int, total: int, low: float, high: float
) -> None:
    found = clopper_pearson(count, total)
    assert [round(100 * limit, 1) for limit in found] == [low, high]


def test_clopper_pearson_of_nothing_says_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_share_of_large_counts_is_finite_and_ordered() -> None:
    low, high = Share(9990, 10_000).interval
    assert 0.998 < low < 0.999 < high < 1
