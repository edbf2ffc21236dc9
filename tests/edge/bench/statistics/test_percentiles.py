from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from edge.bench.statistics.percentiles import (
    Estimate,
    Refused,
    images_per_second,
    percentile,
    percentile_of,
    samples_needed,
)
from tests.support.series import series_of

REPETITIONS = 1000


def nanoseconds(values_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.round(values_ms * 1e6).astype(np.int64)


def exponential(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    return random.exponential(2.0, shape)


def bimodal(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Nine in ten near 1 ms, the others near 9 ms."""
    slow = random.random(shape) < 0.1
    return random.uniform(0.9, 1.1, shape) + 8.0 * slow


def heavy_tail(random: Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Pareto with a shape of 1.5: its variance is infinite."""
    return (1 - random.random(shape)) ** (-1 / 1.5)


# The true percentiles, by the inverse of each distribution function.
def exponential_at(share: float) -> float:
    return -2.0 * math.log(1 - share)


def bimodal_at(share: float) -> float:
    return 0.9 + 0.2 * share / 0.9 if share < 0.9 else 8.9 + 0.2 * (share - 0.9) / 0.1


def heavy_tail_at(share: float) -> float:
    return float((1 - share) ** (-1 / 1.5))


Draw = Callable[[Generator, tuple[int, int]], NDArray[np.float64]]
At = Callable[[float], float]


@pytest.mark.parametrize("percent", [50, 75, 99])
@pytest.mark.parametrize(
    ("draw", "at"),
    [(exponential, exponential_at), (bimodal, bimodal_at), (heavy_tail, heavy_tail_at)],
    ids=["exponential", "bimodal", "heavy-tail"],
)
def test_percentile_interval_holds_the_true_one_as_often_as_promised(
    draw: Draw, at: At, percent: int
) -> None:
    samples = nanoseconds(draw(np.random.default_rng(percent), (REPETITIONS, 600)))
    true_ms = at(percent / 100)
    held = 0
    for row in samples:
        found = percentile(row, percent)
        assert isinstance(found, Estimate)
        held += found.low <= true_ms <= found.high
    # Ranks are whole numbers, so the promise is 95 % or a little more; 0.0069 is the standard
    # deviation of a share of 95 % in a thousand.
    assert 0.95 - 3 * 0.0069 <= held / REPETITIONS <= 0.985


@pytest.mark.parametrize(("correlation", "least"), [(0.0, 0.93), (0.5, 0.90)])
def test_percentile_interval_allows_for_turns_that_differ_in_speed(
    correlation: float, least: float
) -> None:
    """60 turns of 10 calls; the speed scatters by 4 % from turn to turn, and may last."""
    random = np.random.default_rng(9)
    held = narrow = 0
    for _ in range(300):
        speed = random.normal(0, 1, 60)
        for turn in range(1, 60):
            before = correlation * speed[turn - 1]
            speed[turn] = before + math.sqrt(1 - correlation**2) * speed[turn]
        durations_ms = np.repeat(10 * (1 + 0.04 * speed), 10) * random.normal(1, 0.01, 600)
        series = series_of(durations_ms, turn=10)
        found, independent = percentile_of(series, 50), percentile(series.durations_ns, 50)
        assert isinstance(found, Estimate)
        assert isinstance(independent, Estimate)
        held += found.low <= 10 <= found.high
        narrow += independent.low <= 10 <= independent.high
    assert held / 300 >= least
    # So the blocks are what makes the difference.
    assert narrow / 300 < 0.6


def test_percentile_interval_of_independent_samples_is_little_wider_by_blocks() -> None:
    random = np.random.default_rng(4)
    widths = []
    for _ in range(200):
        series = series_of(random.exponential(1, 600))
        found, independent = percentile_of(series, 50), percentile(series.durations_ns, 50)
        assert isinstance(found, Estimate)
        assert isinstance(independent, Estimate)
        assert found.low <= independent.low <= independent.high <= found.high
        widths.append((found.high - found.low) / (independent.high - independent.low))
    assert np.mean(widths) < 1.25


def test_percentile_of_known_ranks_gives_the_interval_of_the_tables() -> None:
    # The median of 100 lies between the 40th and the 61st sample with 96.5 %.
    found = percentile(nanoseconds(np.arange(1.0, 101.0)), 50)
    assert found == Estimate(50.5, 40.0, 61.0, 0.95)


def test_percentile_of_the_order_of_samples_does_not_depend() -> None:
    ordered = nanoseconds(np.arange(1.0, 501.0))
    shuffled = np.random.default_rng(1).permutation(ordered)
    assert percentile(shuffled, 99) == percentile(ordered, 99)


def test_percentile_of_equal_samples_is_that_value() -> None:
    found = percentile(np.full(500, 3_000_000), 99)
    assert found == Estimate(3.0, 3.0, 3.0, 0.95)


@pytest.mark.parametrize(
    ("percent", "needed"), [(50, 7), (90, 44), (99, 459), (99.9, 4603), (1, 459), (10, 44)]
)
def test_percentile_with_one_sample_less_than_needed_is_refused(
    percent: float, needed: int
) -> None:
    samples = nanoseconds(np.arange(1.0, needed + 1.0))
    assert samples_needed(percent) == needed
    assert isinstance(percentile(samples, percent), Estimate)
    refused = percentile(samples[1:], percent)
    assert isinstance(refused, Refused)
    assert f"p{percent:g} needs {needed:,} samples; there are {needed - 1:,}." in refused.why


@pytest.mark.parametrize("percent", [0, 100, -1, 101, math.nan])
def test_percentile_outside_of_the_open_range_is_an_error(percent: float) -> None:
    with pytest.raises(ValueError, match="not between 0 and 100"):
        percentile(np.full(9, 1), percent)


def test_percentile_of_a_million_samples_has_a_narrow_interval() -> None:
    found = percentile(nanoseconds(np.arange(1.0, 1_000_001.0)), 99.9)
    assert isinstance(found, Estimate)
    # Two standard deviations of the rank: 2 * sqrt(1e6 * 0.999 * 0.001) = 63.
    assert 999_000 - 63 <= found.low < found.value < found.high <= 999_000 + 64


def test_images_per_second_counts_all_images_of_the_window() -> None:
    # 60 calls of 8 images, 10 ms each, and as much time again between them.
    found = images_per_second(
        series_of(np.full(60, 10.0), images_per_call=8, window_ns=1_200_000_000)
    )
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(400.0)
    assert found.low == pytest.approx(400.0)
    assert found.high == pytest.approx(400.0)


def test_images_per_second_interval_holds_the_true_rate_as_often_as_promised() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        # The machine's speed changes from turn to turn; 100 images per second in the middle.
        speeds = np.repeat(random.lognormal(0.0, 0.1, 25), 8)
        found = images_per_second(series_of(random.uniform(9.9, 10.1, 200) * speeds, turn=8))
        assert isinstance(found, Estimate)
        held += found.low <= 100.0 <= found.high
    assert held / 300 >= 0.95 - 3 * 0.0126


def test_images_per_second_of_a_few_calls_is_refused() -> None:
    found = images_per_second(series_of([10.0] * 5, turn=1))
    assert isinstance(found, Refused)
    assert found.why.startswith("images per second need 6 turns")
