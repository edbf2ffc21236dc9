from __future__ import annotations

import pytest

from edge.bench.against.labels import Agreement, Expected, agreement, upper_share, why_not

FP32 = ("red", "green", "blue", "red")


def test_agreement_of_labels_counts_image_by_image() -> None:
    found = agreement(Expected(FP32, 0), ["red", "blue", "blue", None])
    assert found == Agreement(compared=4, equal=2)
    assert found.changed == 2


# Clopper and Pearson's one-sided limits: 1 - 0.05 ** (1 / n) for none of n; the others from the
# published tables of binomial confidence limits.
@pytest.mark.parametrize(
    ("changed", "count", "share"),
    [(0, 10, 0.2589), (0, 64, 0.0457), (1, 10, 0.3942), (5, 100, 0.1023), (10, 10, 1.0)],
)
def test_upper_share_is_the_exact_binomial_limit(changed: int, count: int, share: float) -> None:
    assert upper_share(changed, count) == pytest.approx(share, abs=2e-4)


def test_contender_that_changes_no_more_than_int8_may_is_measured() -> None:
    expected = Expected(("red",) * 256, changed_by_int8=0)
    assert expected.allowed == 3
    assert why_not(expected, Agreement(256, 253)) is None


def test_contender_that_changes_more_than_int8_is_refused_with_both_counts() -> None:
    reason = why_not(Expected(("red",) * 256, changed_by_int8=0), Agreement(256, 252))
    assert reason
    assert "4 of 256 labels differ from our FP32, where our INT8 changes 0" in reason


def test_contender_may_change_more_where_int8_does() -> None:
    assert why_not(Expected(("red",) * 256, changed_by_int8=4), Agreement(256, 252)) is None
