"""When another input fits labelled images clearly better than the card's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.card_check.fit import Fit, is_clearly_better, standard_errors


def fit(right: NDArray[np.bool_], share: NDArray[np.float64]) -> Fit:
    return Fit(np.zeros(len(right), np.intp), np.where(right, 0, 1), share)


@pytest.mark.parametrize(
    ("gained", "is_better"),
    [
        pytest.param(0, [False], id="nothing"),
        pytest.param(4, [False], id="by_chance"),
        pytest.param(11, [False], id="less_than_three_points"),
        pytest.param(60, [True], id="fifteen_points"),
    ],
)
def test_is_clearly_better_needs_a_large_gain(gained: int, is_better: list[bool]) -> None:
    right, better = np.arange(400) < 260, np.arange(400) < 260 + gained
    noise = np.random.default_rng(2).normal(0, 0.01, 400)
    other = fit(better, np.where(better, 0.9, 0.1) + noise)
    assert [is_clearly_better(other, fit(right, np.where(right, 0.9, 0.1)))] == is_better


def test_is_clearly_better_is_false_where_the_other_recognises_nothing_either() -> None:
    right, better = np.arange(400) < 40, np.arange(400) < 200
    other = fit(better, np.where(better, 0.9, 0.1))
    assert not is_clearly_better(other, fit(right, np.where(right, 0.8, 0.1)))


def test_is_clearly_better_is_false_for_surer_but_not_righter() -> None:
    right = np.arange(400) < 380
    noise = np.random.default_rng(2).normal(0, 0.01, 400)
    found, surer = fit(right, np.full(400, 0.8)), fit(right, 0.95 + noise)
    assert standard_errors(surer, found) > 100
    assert not is_clearly_better(surer, found)
