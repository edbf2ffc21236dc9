"""Measure functions side by side: interleaved, warmed up, as raw values.

On a shared machine the speed drifts within seconds, so variants are measured in turn within
one run and compared with each other, never with a run of another time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.text.progress import OnCount

CALLS_PER_ROUND: Final = 5


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of single calls, warm-ups left out."""

    values_ms: NDArray[np.float64]

    def percentile(self, percent: float) -> float:
        """The latency below which `percent` of the calls lie."""
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
        """Whether half of the calls scatter by more than a fifth of the median."""
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


def interleave(
    functions: Mapping[str, Callable[[int], object]],
    rounds: int,
    *,
    calls_per_round: int = CALLS_PER_ROUND,
    on_round: OnCount | None = None,
) -> dict[str, Latencies]:
    """Give every function a turn in each round and time its calls.

    The first call of a turn is not timed: it brings the function's own weights and code back
    into the caches from which the other functions drove them, as they are in a service that
    runs one model.

    Args:
        functions: by name; each is called with a running number.
        rounds: turns of each function, after one round of warm-up.
        calls_per_round: timed calls in a turn.
        on_round: called with (done, total) after each round.
    """
    values: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(-1, rounds):
        for name, function in functions.items():
            first = (round_ + 1) * calls_per_round
            function(first)
            for number in range(first, first + calls_per_round):
                start = time.perf_counter()
                function(number)
                elapsed_ms = (time.perf_counter() - start) * 1e3
                if round_ >= 0:
                    values[name].append(elapsed_ms)
        if on_round and round_ >= 0:
            on_round(round_ + 1, rounds)
    return {name: Latencies(np.asarray(v, np.float64)) for name, v in values.items()}
