from __future__ import annotations

import numpy as np
import pytest

from edge.backends.interleave import Latencies, interleave


def test_interleave_gives_every_function_the_same_number_of_calls_in_turn() -> None:
    calls: list[str] = []
    rounds: list[tuple[int, int]] = []
    found = interleave(
        {"a": lambda _: calls.append("a"), "b": lambda _: calls.append("b")},
        3,
        calls_per_round=2,
        on_round=lambda done, total: rounds.append((done, total)),
    )
    assert len(found["a"].values_ms) == len(found["b"].values_ms) == 6
    # One untimed and two timed calls a turn; one round of warm-up.
    assert "".join(calls) == "aaabbb" * 4
    assert rounds == [(1, 3), (2, 3), (3, 3)]


def test_interleave_gives_each_function_its_own_milliseconds() -> None:
    now_ns = 0

    def take(nanoseconds: int) -> None:
        nonlocal now_ns
        now_ns += nanoseconds

    found = interleave(
        {"slow": lambda _: take(250_000_000), "fast": lambda _: take(125_000_000)},
        5,
        clock_ns=lambda: now_ns,
    )
    assert set(found["slow"].values_ms) == {250.0}
    assert set(found["fast"].values_ms) == {125.0}


def test_latencies_give_percentiles_and_rate() -> None:
    latencies = Latencies(np.arange(1.0, 102.0))
    assert latencies.median == 51
    assert latencies.percentile(99) == 100
    assert latencies.per_second == pytest.approx(1e3 / 51)
    assert latencies.is_unstable()
    assert not Latencies(np.full(10, 2.0)).is_unstable()
