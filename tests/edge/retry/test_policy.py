"""Tests for edge.retry.policy."""

from __future__ import annotations

from edge.retry.policy import RetryPolicy


def test_delay_doubles_up_to_the_limit() -> None:
    policy = RetryPolicy(attempts=5, first_delay_s=1.0, max_delay_s=6.0)
    assert [policy.delay_s(n) for n in (1, 2, 3, 4, 10_000)] == [1.0, 2.0, 4.0, 6.0, 6.0]


def test_is_exhausted_after_the_last_attempt() -> None:
    policy = RetryPolicy(attempts=3)
    assert [policy.is_exhausted(n) for n in (1, 2, 3)] == [False, False, True]
