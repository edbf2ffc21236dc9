from __future__ import annotations

import numpy as np
import pytest

from edge.results.differential.percentages import whole_percentages


@pytest.mark.parametrize(
    ("counts", "percent"),
    [
        ((119, 6, 1, 58, 13, 3), (60, 3, 0, 29, 7, 1)),
        ((1, 1, 1, 0, 0, 0), (34, 33, 33, 0, 0, 0)),
        ((0, 0, 7, 0, 0, 0), (0, 0, 100, 0, 0, 0)),
        ((1, 1, 1, 1, 1, 1), (17, 17, 17, 17, 16, 16)),
        # Remainders of one half each: the larger count gets the point.
        ((1, 1, 198, 0, 0, 0), (1, 0, 99, 0, 0, 0)),
        ((1, 199, 0, 0, 0, 0), (0, 100, 0, 0, 0, 0)),
    ],
)
def test_whole_percentages_of_known_counts_are_by_largest_remainder(
    counts: tuple[int, ...], percent: tuple[int, ...]
) -> None:
    assert whole_percentages(counts) == percent


def test_whole_percentages_of_any_counts_sum_to_100_and_keep_their_order() -> None:
    rng = np.random.default_rng(1)
    for _ in range(3000):
        counts = [int(n) for n in rng.integers(0, rng.choice((2, 9, 400), 6))]
        counts[rng.integers(6)] += 1
        percent = whole_percentages(counts)
        assert sum(percent) == 100
        pairs = sorted(zip(counts, percent, strict=True))
        assert [p for _, p in pairs] == sorted(percent)
        for count, whole in pairs:
            assert abs(whole - 100 * count / sum(counts)) < 1
