"""A stall of the service shows in the percentiles of an open loop, and by how much is known."""

from __future__ import annotations

import pytest

from edge.bench.measure.amount import Amount
from edge.bench.measure.arrivals import Arrivals, Server, measure_arrivals
from edge.bench.measure.closed_loop import single_stream
from edge.bench.measure.task import Instruments, Task
from edge.bench.statistics.names import Mode
from edge.bench.statistics.percentiles import Estimate, percentile_of
from edge.bench.statistics.series import Series, WarmUp
from tests.support.stalls import EVERY, LOAD, STALL_MS, analytic_ms
from tests.support.virtual_time import VirtualClock, VirtualServer

SERVICE_MS = 2.0
REQUESTS = 20 * EVERY
WARM = WarmUp(1, 0.0, is_stable=True)


def service_ns(number: int) -> int:
    stall_ms = STALL_MS if number % EVERY == 0 else 0.0
    return round((SERVICE_MS + stall_ms) * 1e6)


def open_loop(mode: Mode) -> Series:
    clock = VirtualClock()
    server = Server("stalling", "call", VirtualServer(clock, service_ns), WARM, 1)
    arrivals = Arrivals(mode, LOAD * 1e3 / SERVICE_MS)
    (series,) = measure_arrivals(
        [server], arrivals, Amount(samples=REQUESTS), Instruments(clock)
    ).series
    return series


def closed_loop() -> Series:
    clock = VirtualClock()
    task = Task("stalling", "call", lambda number: clock.pass_ns(service_ns(number)))
    (series,) = single_stream([task], Amount(samples=REQUESTS), Instruments(clock)).series
    return series


def percentile_ms(series: Series, percent: float) -> float:
    found = percentile_of(series, percent)
    assert isinstance(found, Estimate)
    assert found.low <= found.value <= found.high
    return found.value


@pytest.mark.parametrize("percent", [60, 90, 99, 99.9])
def test_open_loop_with_a_stall_gives_the_analytic_percentile(percent: float) -> None:
    series = open_loop("open_loop_constant")
    expected_ms = analytic_ms(percent, SERVICE_MS)
    assert percentile_ms(series, percent) == pytest.approx(expected_ms, rel=0.05)


def test_closed_loop_with_a_stall_hides_it() -> None:
    series = closed_loop()
    assert percentile_ms(series, 99) == SERVICE_MS
    assert series.durations_ns.max() == (SERVICE_MS + STALL_MS) * 1e6
    assert analytic_ms(99, SERVICE_MS) > 90 * SERVICE_MS


def test_open_loop_of_poisson_gives_what_a_queue_of_the_same_arrivals_gives() -> None:
    series = open_loop("open_loop_poisson")
    # Lindley's recursion: a request begins when it has arrived and the one before it is done.
    free_ns, expected = 0, []
    for number, arrival_ns in enumerate(series.starts_ns.tolist()):
        free_ns = max(free_ns, arrival_ns) + service_ns(number)
        expected.append(free_ns - arrival_ns)
    assert series.durations_ns.tolist() == expected
