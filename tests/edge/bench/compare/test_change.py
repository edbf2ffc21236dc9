from __future__ import annotations

import numpy as np
import pytest

from edge.bench.compare.change import change_of_percentile, change_of_rate, drawn_percentiles
from edge.bench.statistics.percentiles import Estimate, Refused
from tests.support.bench_document import calm_series
from tests.support.series import series_of


def test_change_of_percentile_of_equal_blocks_is_exact() -> None:
    # Every block has the same samples, so every draw of blocks has the same percentiles.
    before = series_of(np.tile(np.arange(1.0, 26.0), 30), turn=25)
    after = series_of(np.tile(np.arange(1.0, 26.0) * 1.5, 30), turn=25)
    for percent in (50, 99):
        found = change_of_percentile(before, after, percent)
        assert isinstance(found, Estimate)
        assert (found.low, found.value, found.high) == pytest.approx((50.0, 50.0, 50.0))


@pytest.mark.parametrize("count", [12, 35, 601, 4099])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_drawn_percentiles_are_those_of_the_drawn_samples(count: int, share: float) -> None:
    random = np.random.default_rng(count)
    # Ties in one of two: many equal values.
    durations = random.integers(0, 50 if count % 2 else 10**7, count)
    labels = np.arange(count) * 12 // count
    found = drawn_percentiles(durations, labels, share, seed=3)
    drawn = np.random.default_rng(3).multinomial(12, np.full(12, 1 / 12), len(found))
    for value, times in zip(found[:200], drawn, strict=False):
        samples = np.sort(np.repeat(durations, times[labels]))
        assert value == samples[int(np.ceil(share * len(samples))) - 1]


def test_change_of_percentile_with_too_few_turns_is_refused() -> None:
    few = series_of([2.0] * 20, turn=10)
    found = change_of_percentile(few, few, 50)
    assert found == Refused("a change needs 6 turns or 30 samples in both measurements")


def test_change_of_percentile_with_too_few_samples_names_how_many() -> None:
    found = change_of_percentile(calm_series(count=600), calm_series(count=458), 99)
    assert found == Refused("p99 needs 459 samples; there are 458")


def test_change_of_rate_counts_images_and_not_calls() -> None:
    before = series_of([2.0] * 60, mode="offline", turn=10)
    after = series_of([4.0] * 60, mode="offline", turn=10, images_per_call=4)
    assert change_of_rate(before, after) == Estimate(100.0, 100.0, 100.0)


def test_change_of_a_duration_of_zero_is_refused() -> None:
    zero = series_of([0.0] * 600)
    assert isinstance(change_of_percentile(zero, calm_series(), 50), Refused)
    assert isinstance(change_of_percentile(calm_series(), zero, 50), Refused)
