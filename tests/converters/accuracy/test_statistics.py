from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.accuracy import statistics as metrics


def test_divergence_of_equal_logits_is_zero_and_of_others_positive() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, 8)).astype(np.float32)
    assert metrics.divergence(logits, logits).max() == pytest.approx(0, abs=1e-9)
    assert metrics.divergence(logits, logits[:, ::-1]).min() > 0


def test_balanced_accuracy_weighs_classes_alike() -> None:
    labels = np.array([0] * 98 + [1] * 2)
    right = np.array([True] * 98 + [False] * 2)
    assert metrics.balanced_accuracy(labels, right) == 0.5


def test_calibration_error_of_honest_confidence_is_small() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 20_000)
    right = rng.uniform(0, 1, 20_000) < confidence
    assert metrics.calibration_error(confidence, right) < 0.02
    assert metrics.calibration_error(np.full(100, 0.9), np.zeros(100, bool)) == pytest.approx(0.9)


def test_measures_of_rows_are_those_of_each_row_alone() -> None:
    rng = np.random.default_rng(4)
    # Class 7 is in some rows and not in others.
    labels = rng.integers(0, 7, (50, 43))
    labels[::3, 0] = 7
    right = rng.random((50, 43)) < 0.8
    confidence = rng.random((50, 43))
    for found, row_of in (
        (metrics.balanced_accuracy(labels, right), recall_by_hand),
        (metrics.calibration_error(confidence, right), gap_by_hand),
    ):
        values = labels if row_of is recall_by_hand else confidence
        expected = [row_of(v, r) for v, r in zip(values, right, strict=True)]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def recall_by_hand(labels: NDArray[Any], right: NDArray[Any]) -> float:
    return float(np.mean([right[labels == c].mean() for c in np.unique(labels)]))


def gap_by_hand(confidence: NDArray[Any], right: NDArray[Any]) -> float:
    bins = np.array_split(np.argsort(confidence, kind="stable"), 10)
    gaps = [abs(confidence[b].mean() - right[b].mean()) * len(b) for b in bins]
    return float(sum(gaps) / len(right))


def test_bootstrap_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(5, 1, 70)
    whole = metrics.bootstrap(70, lambda chosen: values[chosen].mean(axis=1))
    monkeypatch.setattr(metrics, "_RESAMPLED_AT_ONCE", 1)
    assert metrics.bootstrap(70, lambda chosen: values[chosen].mean(axis=1)) == whole


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (1, 9, 0.021484375)]
)
def test_mcnemar_gives_exact_two_sided_p_values(first: int, second: int, p: float) -> None:
    assert metrics.mcnemar(first, second) == pytest.approx(p)


def test_bootstrap_interval_holds_the_value_and_is_repeatable() -> None:
    values = np.random.default_rng(3).normal(5, 1, 200)
    first = metrics.bootstrap(200, lambda chosen: values[chosen].mean(axis=1))
    assert first.low < first.value < first.high
    assert 0.2 < first.high - first.low < 0.4
    assert first == metrics.bootstrap(200, lambda chosen: values[chosen].mean(axis=1))
    mean = metrics.bootstrap_mean(values)
    assert (mean.low, mean.high) == pytest.approx((first.low, first.high), abs=0.05)


def test_confusion_has_rows_of_true_classes() -> None:
    table = metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    assert table == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
