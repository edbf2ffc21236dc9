from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from edge.shares.clopper_pearson import beta_cumulative, clopper_pearson
from edge.shares.share import Share


def at_least(count: int, total: int, share: float) -> float:
    """P(X >= count) of a binomial variable, in exact fractions."""
    p = Fraction(share)
    return float(
        sum(comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(count, total + 1))
    )


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


@pytest.mark.parametrize(("count", "total"), [(1, 200), (3, 7), (120, 200), (199, 200)])
def test_clopper_pearson_limits_leave_the_tails_that_they_are_made_for(
    count: int, total: int
) -> None:
    low, high = clopper_pearson(count, total)
    assert at_least(count, total, low) == pytest.approx(0.025, rel=1e-9)
    assert at_least(total - count, total, 1 - high) == pytest.approx(0.025, rel=1e-9)


def test_clopper_pearson_at_another_confidence_has_its_tails() -> None:
    low, _ = clopper_pearson(5, 50, confidence=0.8)
    assert at_least(5, 50, low) == pytest.approx(0.1)


def test_clopper_pearson_of_nothing_says_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)


def test_beta_cumulative_outside_of_its_range_is_0_or_1() -> None:
    assert [beta_cumulative(x, 2, 3) for x in (-1.0, 0.0, 1.0, 2.0)] == [0, 0, 1, 1]


def test_beta_cumulative_of_a_uniform_variable_is_the_value() -> None:
    assert [beta_cumulative(x, 1, 1) for x in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9])


def test_share_of_large_counts_is_finite_and_ordered() -> None:
    low, high = Share(9990, 10_000).interval
    assert 0.998 < low < 0.999 < high < 1


def test_share_of_a_million_is_narrow_around_its_rate() -> None:
    low, high = Share(500_000, 1_000_000).interval
    # Half the width is 1.96 standard deviations.
    assert high - 0.5 == pytest.approx(0.00098, abs=1e-5)
    assert low == pytest.approx(1 - high, abs=1e-9)
