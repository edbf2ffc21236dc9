from __future__ import annotations

import numpy as np
import pytest

from edge.bench.measure import schedule


def test_constant_arrivals_do_not_drift() -> None:
    found = schedule.constant(3, 1000)
    assert len(found) == 3000
    assert found[0] == 0
    assert found[-1] == pytest.approx(2999 / 3 * 1e9, abs=1)
    assert set(np.diff(found)) == {333_333_333, 333_333_334}


def test_poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() -> None:
    gaps = np.diff(schedule.poisson(50, 200))
    assert gaps.mean() == pytest.approx(2e7, rel=0.05)
    # Of an exponential distribution the standard deviation is the mean.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_poisson_arrivals_with_one_seed_are_the_same_and_with_another_are_not() -> None:
    first, again, other = (schedule.poisson(50, 5, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert len(first) == len(other) == 250
