from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.calibration.histogram import HALF_BINS, Histogram
from converters.calibration.ranges import (
    METHODS,
    choose_ranges,
    max_range,
    mse_range,
    percentile_range,
)


def histogram_of(*parts: NDArray[np.float32]) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


@pytest.fixture
def values() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return np.concatenate(
        [rng.normal(0, 1e-3, 5000), rng.normal(0, 1, 5000), rng.normal(0, 50, 200)]
    ).astype(np.float32)


@pytest.mark.parametrize("parts", [1, 2, 7, 100])
def test_histogram_in_any_order_and_batch_size_is_bit_identical(
    values: NDArray[np.float32], parts: int
) -> None:
    whole = histogram_of(values)
    shuffled = np.random.default_rng(parts).permutation(values)
    other = histogram_of(*np.array_split(shuffled, parts))
    assert other.exponent == whole.exponent
    assert np.array_equal(other.counts, whole.counts)
    assert (other.low, other.high) == (whole.low, whole.high)


def test_histogram_counts_every_value_in_its_bin(values: NDArray[np.float32]) -> None:
    histogram = histogram_of(values)
    assert histogram.total == len(values)
    edges = (np.arange(2 * HALF_BINS + 1) - HALF_BINS) * histogram.width
    expected, _ = np.histogram(values.astype(np.float64), edges)
    assert np.array_equal(histogram.counts, expected)


@pytest.mark.parametrize("limit", [1.0, -1.0, 2.0, 6.0, -8.0, 1e-12, 0.0])
def test_histogram_takes_values_at_powers_of_two(limit: float) -> None:
    histogram = histogram_of(np.array([limit, 0.0], np.float32))
    assert histogram.total == 2
    assert max_range(histogram, symmetric=False) == pytest.approx((min(limit, 0), max(limit, 0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_histogram_of_value_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        Histogram().add(np.array([1.0, bad], np.float32))


def test_percentile_range_cuts_rare_values_and_max_range_keeps_them() -> None:
    values = np.concatenate([np.linspace(0, 1, 99_990), np.full(10, 100.0)]).astype(np.float32)
    histogram = histogram_of(values)
    assert max_range(histogram, symmetric=False)[1] == 100
    assert percentile_range(histogram, 99.9, symmetric=False)[1] < 1.2
    assert percentile_range(histogram, 99.9, symmetric=True)[1] < 1.2


def test_mse_range_clips_an_outlier_that_costs_more_than_it_is_worth() -> None:
    rng = np.random.default_rng(1)
    body = rng.normal(0, 1, 200_000)
    histogram = histogram_of(np.append(body, 40.0).astype(np.float32))
    low, high = mse_range(histogram, symmetric=True)
    assert high < 30
    assert low == -high


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_every_method_gives_a_range_with_zero_inside_what_was_seen(
    values: NDArray[np.float32],
    method: str,
    symmetric: bool,  # noqa: FBT001
) -> None:
    for data in (values, np.maximum(values, 0), np.minimum(values, 0), np.zeros(9, np.float32)):
        found = choose_ranges({"t": histogram_of(data)}, method, symmetric=symmetric)["t"]
        limit = float(np.abs(data).max())
        width = histogram_of(data).width
        assert -limit - width <= found[0] <= 0 <= found[1] <= limit + width
        if symmetric:
            assert found[0] == -found[1]
