"""Whether a stall of 200 ms at every 500th request shows in the measured p99, in real time.

    python -m tests.campaigns.stall --seconds 60

A service that sleeps is measured by the open loop of `edge-bench` and by a closed loop, and both
are held against the value that follows from arithmetic. Exit code 1: the open loop is off by more
than 5 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

import numpy as np

from edge.bench.measure.amount import Amount
from edge.bench.measure.arrivals import Arrivals, Server, measure_arrivals
from edge.bench.measure.clock import RealClock
from edge.bench.measure.closed_loop import single_stream
from edge.bench.measure.pool import Pool
from edge.bench.measure.task import Instruments, Task
from edge.bench.statistics.percentiles import Estimate, percentile_of
from edge.bench.statistics.series import Series, WarmUp
from tests.support.stalls import EVERY, LOAD, STALL_MS, analytic_ms

SERVICE_MS: Final = 10.0
ALLOWED: Final = 0.05


class Stalling:
    """Sleeps for each request until the moment at which it is to be done."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, _number: int) -> None:
        milliseconds = SERVICE_MS + (STALL_MS if self._count % EVERY == 0 else 0.0)
        self._count += 1
        end_s = time.perf_counter() + milliseconds / 1e3
        while (left_s := end_s - time.perf_counter()) > 0:
            time.sleep(left_s)


def main(argv: list[str] | None = None) -> int:
    """Measure and tell; 1 if the open loop is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args(argv).seconds
    instruments = Instruments(RealClock())
    opened = _open_loop(seconds, instruments)
    closed = single_stream(
        [Task("stalling", "call", Stalling())], Amount(seconds=seconds), instruments
    ).series[0]
    is_right = True
    for percent in (50.0, 90.0, 99.0):
        expected_ms = analytic_ms(percent, SERVICE_MS)
        found_ms = _value(opened, percent)
        print(  # noqa: T201 - a program for people
            f"p{percent:g}: open loop {found_ms:.1f} ms, by arithmetic {expected_ms:.1f} ms "
            f"({found_ms / expected_ms - 1:+.1%}); closed loop {_value(closed, percent):.1f} ms"
        )
        if percent == 99:
            is_right = abs(found_ms / expected_ms - 1) <= ALLOWED
    stalls = int((np.diff(opened.durations_ns) > STALL_MS / 2 * 1e6).sum())
    print(f"{len(opened.durations_ns):,} requests at {LOAD:.0%} load, {stalls} stalls")  # noqa: T201
    return 0 if is_right else 1


def _open_loop(seconds: float, instruments: Instruments) -> Series:
    arrivals = Arrivals("open_loop_constant", LOAD * 1e3 / SERVICE_MS)
    with Pool(Task("stalling", "call", Stalling()), 1, instruments.clock) as pool:
        server = Server("stalling", "call", pool, WarmUp(0, 0.0, is_stable=True), 1)
        return measure_arrivals([server], arrivals, Amount(seconds=seconds), instruments).series[0]


def _value(series: Series, percent: float) -> float:
    found = percentile_of(series, percent)
    return found.value if isinstance(found, Estimate) else float("nan")


if __name__ == "__main__":
    sys.exit(main())
