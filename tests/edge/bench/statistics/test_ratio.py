from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from edge.bench.statistics.percentiles import Estimate, Refused
from edge.bench.statistics.ratio import RATE, ratio
from edge.bench.statistics.series import Series
from tests.support.series import series_of

TURNS = 20
PER_TURN = 8
TRUE_RATIO = 2.5


def pair(random: Generator) -> tuple[Series, Series]:
    """Two series in turns on a machine that becomes slower and slower, up to half of its speed."""
    drift = np.linspace(1.0, 2.0, TURNS) * random.lognormal(0.0, 0.1, TURNS)
    return tuple(  # type: ignore[return-value]
        series_of(_durations(random, drift) * scale, turn=PER_TURN) for scale in (TRUE_RATIO, 1.0)
    )


def _durations(random: Generator, drift: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(drift, PER_TURN) * random.lognormal(0.0, 0.05, TURNS * PER_TURN)


def test_ratio_under_a_common_drift_holds_the_true_one_as_often_as_promised() -> None:
    random = np.random.default_rng(16)
    held, widths = 0, []
    for _ in range(400):
        found = ratio(*pair(random), reasons=())
        assert isinstance(found, Estimate)
        held += found.low <= TRUE_RATIO <= found.high
        widths.append(found.high - found.low)
    assert held / 400 >= 0.95 - 3 * 0.0109
    # The drift of 100 % does not widen it: each ratio of medians of 8 scatters by about 3 %.
    assert np.median(widths) < 0.1 * TRUE_RATIO


def test_ratio_of_a_known_pair_is_exact() -> None:
    slow = series_of(np.repeat(np.arange(1.0, 9.0) * 4, 5))
    fast = series_of(np.repeat(np.arange(1.0, 9.0), 5))
    assert ratio(slow, fast, reasons=()) == Estimate(4.0, 4.0, 4.0)


def test_ratio_of_images_per_second_counts_the_batch() -> None:
    batch = series_of(np.full(40, 4.0), images_per_call=8)
    single = series_of(np.full(40, 1.0))
    assert ratio(batch, single, reasons=(), what=RATE) == Estimate(2.0, 2.0, 2.0)


def test_ratio_from_unstable_series_is_refused_with_the_reasons_once_each() -> None:
    series = series_of(np.full(40, 1.0))
    found = ratio(series, series, reasons=("drift", "load", "drift"))
    assert found == Refused("unstable: drift; load")


def test_ratio_of_too_few_common_turns_is_refused() -> None:
    first, second = series_of(np.full(40, 1.0)), series_of(np.full(25, 1.0))
    found = ratio(first, second, reasons=())
    assert isinstance(found, Refused)
    assert found.why.startswith("a ratio needs 6 turns that both have; there are 5.")


def test_ratio_pairs_turns_by_their_numbers() -> None:
    # The second lacks turn 0, in which the machine was ten times slower.
    first = series_of(np.repeat([30.0, *[3.0] * 6], 5))
    second = series_of(np.repeat([1.0] * 6, 5), turns=np.repeat(np.arange(1, 7), 5))
    assert ratio(first, second, reasons=()) == Estimate(3.0, 3.0, 3.0)


def test_ratio_of_durations_of_zero_is_refused() -> None:
    zero, one = series_of(np.zeros(40)), series_of(np.full(40, 1.0))
    assert isinstance(ratio(one, zero, reasons=()), Refused)
    assert isinstance(ratio(zero, one, reasons=()), Refused)


@pytest.mark.parametrize("count", [6 * 5, 2000 * 5])
def test_ratio_of_few_and_of_many_turns_has_its_value_inside_of_its_interval(count: int) -> None:
    random = np.random.default_rng(count)
    found = ratio(
        series_of(random.lognormal(1.0, 0.2, count)),
        series_of(random.lognormal(0.0, 0.2, count)),
        reasons=(),
    )
    assert isinstance(found, Estimate)
    assert found.low <= found.value <= found.high
