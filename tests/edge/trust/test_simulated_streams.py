"""False alarms and delays of the CUSUM on simulated streams, also of slides that differ.

`python -m tests.campaigns.drift` measures the same on images.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import pytest

from edge.trust.drift import Drift

CELLS: Final = 100_000
SLIDE: Final = 150
Draw: TypeAlias = Callable[[random.Random], float]


def normal(draw: random.Random) -> float:
    return draw.gauss(0.0, 1.0)


def heavy(draw: random.Random) -> float:
    """Student's t with 5 degrees of freedom, scaled to a standard deviation of 1."""
    squares = sum(draw.gauss(0.0, 1.0) ** 2 for _ in range(5))
    return float(draw.gauss(0.0, 1.0) / (squares / 5) ** 0.5 * 0.6**0.5)


def skewed(draw: random.Random) -> float:
    """As distances are: exponential, moved to a mean of 0."""
    return draw.expovariate(1.0) - 1.0


def by_slide(draw: random.Random) -> Iterator[float]:
    """Slides of unusual mixes: each one's mean is off, as a class is never standardised exactly."""
    while True:
        off = draw.gauss(0.0, 0.25)
        for _ in range(SLIDE):
            yield off + draw.gauss(0.0, 1.0)


def alarms_among(shifts: Iterator[float]) -> int:
    state, alarms = Drift(), 0
    for _ in range(CELLS):
        before, state = state, state.after(next(shifts), 0.0)
        alarms += state.is_alarm and not before.is_alarm
    return alarms


def endless(one: Draw, seed: int) -> Iterator[float]:
    draw = random.Random(seed)  # noqa: S311 - a repeatable stream
    while True:
        yield one(draw)


@pytest.mark.parametrize("one", [normal, heavy, skewed])
def test_laboratory_of_a_hundred_thousand_cells_raises_at_most_one_alarm(one: Draw) -> None:
    assert alarms_among(endless(one, 1)) <= 1


def test_slides_of_unusual_mixes_raise_at_most_one_alarm() -> None:
    assert alarms_among(by_slide(random.Random(2))) <= 1  # noqa: S311 - a repeatable stream


def cells_to_alarm(change: float, seed: int) -> int:
    """After 300 ordinary cells, in which there is none."""
    shifts = endless(normal, seed)
    states = [Drift()]
    while not states[-1].is_alarm:
        shift = next(shifts) + (change if states[-1].cells >= 300 else 0.0)
        states.append(states[-1].after(shift, 0.0))
    return states[-1].cells - 300


@pytest.mark.parametrize(("change", "most"), [(5.0, 15), (1.5, 150)])
def test_change_is_noticed_in_few_cells_in_19_of_20_streams(change: float, most: int) -> None:
    delays = sorted(cells_to_alarm(change, seed) for seed in range(200))
    assert delays[189] <= most
    # Which shows that the streams do change: none alarms at once.
    assert delays[0] >= 6
