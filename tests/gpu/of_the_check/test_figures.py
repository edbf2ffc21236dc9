"""Targets are judged by figures of a real device alone."""

from __future__ import annotations

from typing import Any

from tests.gpu import figures


def measured(**changes: Any) -> dict[str, Any]:
    """Figures of steps as a real device gives them."""
    run = {"images_per_second": 3100.0, "settings": {"workers": 8}, "problem": None}
    return {
        "device": {"is_real": True},
        "levels": {"latencies": {"file int8": {"p99_ms": 4.2}}},
        "throughput": {"runs": [{**run, "images_per_second": 900.0, "settings": {}}, run]},
        "batch sweep": {"1": {"ratio": 1.1}, "8": {"ratio": 0.8}, "16": {"ratio": 0.84}},
        **changes,
    }


def test_targets_are_met_or_missed_by_the_figures_alone() -> None:
    assert list(figures.verdicts(measured()).values()) == [
        "met: 4.2 ms",
        "met: 3100.0 images/s with {'workers': 8}",
        "met: at most 0.84, at batch 16",
    ]
    worse = measured(**{"batch sweep": {"8": {"ratio": 0.86}}, "levels": {}})
    assert list(figures.verdicts(worse).values())[::2] == [
        "not measured",
        "missed: at most 0.86, at batch 8",
    ]
