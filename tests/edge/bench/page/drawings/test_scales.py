from __future__ import annotations

import numpy as np
import pytest

from edge.bench.page.drawings.scales import Scale, latency_scale, scale_from_zero, ticks


def test_scale_maps_evenly_and_by_logarithm() -> None:
    assert Scale(0, 10, 100, 200).at([0, 5, 10]).tolist() == [100, 150, 200]
    assert Scale(1, 100, 0, 200, is_log=True).at([1, 10, 100]).tolist() == [0, 100, 200]


def test_scale_puts_values_beyond_its_ends_at_the_ends() -> None:
    assert Scale(1, 100, 0, 200, is_log=True).at([-5, 0, 1e9]).tolist() == [0, 0, 200]


def test_latency_scale_is_logarithmic_only_where_the_tail_needs_it() -> None:
    assert not latency_scale(2.0, 1.8, 9.0, 0, 1).is_log
    assert latency_scale(2.0, 1.8, 11.0, 0, 1).is_log


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (3, 3), (-5, -5), (-1, 4), (0, 1e9), (1e-6, 1e9), (1.0, 1.0001)]
)
def test_latency_scale_of_any_range_has_ticks_inside(low: float, high: float) -> None:
    found = latency_scale(max(low, 0.0), low, high, 0, 100)
    assert found.low < found.high
    places = found.at(found.ticks())
    assert len(places) >= 2
    assert np.isfinite(places).all()
    assert (np.diff(places) > 0).all()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (3.2, 4.4, [3.2, 3.4, 3.6, 3.8, 4.0, 4.2, 4.4])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_scale_from_zero_of_nothing_is_still_a_scale() -> None:
    assert scale_from_zero(0.0, 10, 0).at([0.0]).tolist() == [10]
