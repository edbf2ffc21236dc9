"""Which precision a machine takes of a bundle that holds several."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.backends import select
from edge.backends.interleave import Latencies
from edge.backends.opening import Opening


class Session:
    """A session that is known by its precision alone."""

    backend = "onnxruntime-cpu"

    def __init__(self, precision: str) -> None:
        self.precision, self.graph, self.is_closed = precision, f"model.{precision}.onnx", False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("medians_ms", "chosen", "says_so"),
    [
        ({"int8": 5.0, "fp32": 4.0}, "fp32", True),
        # Not clearly faster: the precision stays that was measured when the bundle was made.
        ({"int8": 4.2, "fp32": 4.0}, "int8", False),
        ({"int8": 2.0, "fp32": 4.0}, "int8", False),
    ],
)
def test_fastest_precision_is_taken_and_said(
    monkeypatch: pytest.MonkeyPatch,
    medians_ms: dict[str, float],
    chosen: str,
    says_so: bool,  # noqa: FBT001
) -> None:
    timed = {name: Latencies(np.full(3, median)) for name, median in medians_ms.items()}
    monkeypatch.setattr(select, "_time_sessions", lambda *_: timed)
    said: list[str] = []
    sessions: Any = {name: Session(name) for name in medians_ms}
    bundle: Any = SimpleNamespace(default_precision="int8", root=Path("a.edge"))
    winner = select.fastest(bundle, sessions, Opening(on_choice=said.append))
    assert winner.precision == chosen
    assert [name for name, session in sessions.items() if not session.is_closed] == [chosen]
    assert said[-1].startswith(f"onnxruntime-cpu {chosen}, model.{chosen}.onnx (one image: int8 ")
    assert ("INT8 brings nothing here" in said[-1]) is says_so


def latencies(*values_ms: float) -> Latencies:
    return Latencies(np.asarray(values_ms))


@pytest.mark.parametrize(
    ("times", "rounds"),
    [
        ({"int8": latencies(1.0, 1.1), "fp32": latencies(2.0, 2.1)}, [1]),
        # One slow call, or too small a difference: another program may have run meanwhile.
        ({"int8": latencies(1.0, 2.1), "fp32": latencies(2.0, 2.1)}, [1, select.TIMING_ROUNDS]),
        ({"int8": latencies(1.9, 1.9), "fp32": latencies(2.0, 2.0)}, [1, select.TIMING_ROUNDS]),
        (
            {"a": latencies(1.0), "b": latencies(9.0), "c": latencies(1.05)},
            [1, select.TIMING_ROUNDS],
        ),
    ],
)
def test_precisions_are_timed_at_length_where_a_round_does_not_tell_them_apart(
    monkeypatch: pytest.MonkeyPatch, times: dict[str, Latencies], rounds: list[int]
) -> None:
    asked: list[int] = []

    def interleave(_functions: object, count: int) -> dict[str, Latencies]:
        asked.append(count)
        return times

    monkeypatch.setattr(select, "interleave", interleave)
    bundle: Any = SimpleNamespace(input=SimpleNamespace(height=16, width=16))
    sessions: Any = {name: Session(name) for name in times}
    assert select._time_sessions(bundle, sessions) is times  # noqa: SLF001 - timed by it alone
    assert asked == rounds
