"""Times several functions in turns, after a warm-up.

The speed of a shared machine changes within seconds. So functions are timed in turns within one
run, and their times are compared with each other only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.text.progress import OnCount

CALLS_PER_ROUND: Final = 5

T = TypeVar("T")


def _do_nothing(_number: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Latencies:
    """Durations of single calls in milliseconds, without warm-up calls."""

    values_ms: NDArray[np.float64]

    def percentile(self, percent: float) -> float:
        """The latency in milliseconds that `percent` of the calls stay below."""
        return float(np.percentile(self.values_ms, percent))

    @property
    def median(self) -> float:
        """The median latency in milliseconds."""
        return self.percentile(50)

    @property
    def per_second(self) -> float:
        """Calls per second of one caller: the inverse of the mean."""
        return 1e3 / float(self.values_ms.mean())

    def is_unstable(self) -> bool:
        """Whether the interquartile range exceeds a fifth of the median."""
        spread = self.percentile(75) - self.percentile(25)
        return spread > 0.2 * self.median

    def to_dict(self) -> dict[str, float | int | bool]:
        """JSON types: count, percentiles in milliseconds, calls per second."""
        return {
            "count": len(self.values_ms),
            **{f"p{p}_ms": round(self.percentile(p), 4) for p in (50, 90, 99)},
            "per_second": round(self.per_second, 2),
            "unstable": self.is_unstable(),
        }


@dataclass(frozen=True, slots=True)
class TimedCall(Generic[T]):
    """One call: when it began, how long it took, what it returned."""

    start_ns: int
    duration_ns: int
    returned: T


def one_turn(
    function: Callable[[int], T],
    first: int,
    calls: int,
    *,
    before: Callable[[int], object] = _do_nothing,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> list[TimedCall[T]]:
    """Call a function `calls` times and time each call.

    The call before them is not timed: it loads the function's weights and code back into the
    processor's caches. In a service, which runs one model, they are there at every call.

    Args:
        function: called with `first` and the numbers after it; the first of them is not timed.
        before: called with the number before each call, not timed.
    """
    before(first)
    function(first)
    timed: list[TimedCall[T]] = []
    for number in range(first + 1, first + 1 + calls):
        before(number)
        start_ns = clock_ns()
        returned = function(number)
        timed.append(TimedCall(start_ns, clock_ns() - start_ns, returned))
    return timed


def interleave(
    functions: Mapping[str, Callable[[int], object]],
    rounds: int,
    *,
    calls_per_round: int = CALLS_PER_ROUND,
    on_round: OnCount | None = None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, Latencies]:
    """Give every function a turn in each round and time its calls, as `one_turn`.

    Args:
        functions: by name; each is called with the number of the call.
        rounds: turns per function, after one round of warm-up.
        calls_per_round: timed calls in a turn.
        on_round: called with (done, total) after each round.
    """
    values_ms: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(-1, rounds):
        for name, function in functions.items():
            # The untimed call has a number too.
            first = (round_ + 1) * (calls_per_round + 1)
            timed = one_turn(function, first, calls_per_round, clock_ns=clock_ns)
            if round_ >= 0:
                values_ms[name] += [call.duration_ns / 1e6 for call in timed]
        if on_round and round_ >= 0:
            on_round(round_ + 1, rounds)
    return {name: Latencies(np.asarray(v, np.float64)) for name, v in values_ms.items()}
