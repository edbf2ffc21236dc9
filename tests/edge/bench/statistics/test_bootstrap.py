from __future__ import annotations

import numpy as np
import pytest

from edge.bench.statistics.bootstrap import (
    FEWEST_BLOCKS,
    drawn_blocks,
    interval_of_median,
    student_quantile,
)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(4, 2.776), (5, 2.571), (9, 2.262), (29, 2.045), (1000, 1.962)]
)
def test_student_quantile_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, rel=0.005)


@pytest.mark.parametrize("count", [FEWEST_BLOCKS, 12, 40])
def test_interval_of_median_holds_the_true_median_as_often_as_promised(count: int) -> None:
    random = np.random.default_rng(count)
    held = 0
    for values in random.lognormal(0.0, 0.5, (400, count)):
        low, _, high = interval_of_median(values, 0.95)
        held += low <= 1.0 <= high
    assert held / 400 >= 0.95 - 3 * 0.0109


def test_interval_of_median_of_the_same_values_is_the_same_again() -> None:
    values = np.random.default_rng(1).random(12)
    assert interval_of_median(values, 0.95) == interval_of_median(values, 0.95)


def test_drawn_blocks_are_numbers_of_blocks() -> None:
    drawn = drawn_blocks(7)
    assert drawn.shape[1] == 7
    assert set(np.unique(drawn)) == set(range(7))


def test_interval_of_median_of_thousands_of_turns_is_found_in_parts() -> None:
    low, middle, high = interval_of_median(np.arange(5000.0), 0.95)
    # The distribution-free interval of the same median: +- 1.96 * sqrt(5000) / 2.
    assert low == pytest.approx(2499.5 - 69, abs=12)
    assert high == pytest.approx(2499.5 + 69, abs=12)
    assert middle == 2499.5
