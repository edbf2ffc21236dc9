"""Streams of shifts, and what river's Page-Hinkley test says about them."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edge.trust.drift import ALLOWANCE, LIMIT
from tests.support.environments import environment

# Of August 2026, BSD-3-Clause.
PACKAGES: Final = ("river==0.26.1",)
_LENGTH: Final = 800
_CHANGE_AT: Final = 300
_TIMEOUT_S: Final = 300


def stream_of(seed: int, change: float) -> list[float]:
    """Shifts that are less than 1 from 0, later from `change`; so none less the mean is clipped."""
    draw = random.Random(seed)  # noqa: S311 - a repeatable stream
    later = [0.0] * _CHANGE_AT + [change] * (_LENGTH - _CHANGE_AT)
    return [draw.uniform(-0.99, 0.99) + shift for shift in later]


def deviations(stream: Iterable[float]) -> Iterator[float]:
    """Each value less the mean of the values so far, itself included, as river takes it."""
    mean = 0.0
    for number, value in enumerate(stream, 1):
        mean += (value - mean) / number
        yield value - mean


def river_answers(asked: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
    """For each seed and change the number of river's first alarm, and its level then."""
    python = environment(PACKAGES) / "venv/bin/python"
    streams = [stream_of(seed, change) for seed, change in asked]
    done = subprocess.run(
        [python, Path(__file__).with_name("in_river.py")],
        input=json.dumps({"streams": streams, "allowance": ALLOWANCE, "limit": LIMIT}),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return [
        {"seed": seed, "change": change, **answer}
        for (seed, change), answer in zip(asked, answers, strict=True)
    ]
