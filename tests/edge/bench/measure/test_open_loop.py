from __future__ import annotations

import numpy as np
import pytest

from edge.bench.measure import open_loop, schedule
from edge.bench.measure.amount import Amount
from edge.bench.measure.arrivals import Arrivals, Server, measure_arrivals
from edge.bench.measure.record import Record
from edge.bench.measure.task import Instruments
from edge.bench.statistics.series import WarmUp
from edge.errors import BackendError
from tests.support.virtual_time import VirtualClock, VirtualServer

WARM = WarmUp(1, 0.0, is_stable=True)
MS = 1_000_000


def nothing(_done: int, _total: int) -> None:
    pass


def test_open_loop_never_waits_for_an_answer_before_it_sends_the_next() -> None:
    clock = VirtualClock()
    service = VirtualServer(clock, lambda _: 30 * MS)
    found = open_loop.run(
        schedule.constant(100, 0.1), service, clock, nothing, what="it", per_second=100
    )
    # Ten arrivals 10 ms apart, each served for 30 ms: each waits 20 ms longer than the one before.
    assert (found.durations_ns / MS).tolist() == [30 + 20 * n for n in range(10)]
    assert found.late_ns.tolist() == [0] * 10
    assert found.window_ns == 300 * MS


def test_open_loop_whose_generator_is_late_counts_from_the_intended_start() -> None:
    clock = VirtualClock()

    class Slow(VirtualServer):
        def send(self, number: int) -> None:
            super().send(number)
            clock.pass_ns(4 * MS)

    found = open_loop.run(
        schedule.constant(500, 0.02), Slow(clock, lambda _: MS), clock, nothing,
        what="it", per_second=500,
    )  # fmt: skip
    # Sending takes 4 ms where requests are 2 ms apart.
    assert (found.late_ns / MS).tolist() == [4 + 2 * n for n in range(10)]
    assert (found.durations_ns / MS).tolist() == [1 + 2 * n for n in range(10)]


def test_rate_beyond_what_is_served_ends_early_in_one_line() -> None:
    clock = VirtualClock()
    service = VirtualServer(clock, lambda _: 10 * MS)
    server = Server("int8", "image", service, WARM, workers=2)
    arrivals = Arrivals("open_loop_constant", 200.0)
    with pytest.raises(BackendError) as caught:
        measure_arrivals([server], arrivals, Amount(seconds=3600), Instruments(clock))
    said = str(caught.value)
    assert "200 images/s are more than int8 at image level with 2 workers serves here" in said
    assert "it had served 100 images/s" in said
    assert "\n" not in said
    assert clock.now_ns() < 10e9


def test_rate_a_little_beyond_what_is_served_is_told_at_the_end() -> None:
    clock = VirtualClock()
    server = Server("int8", "call", VirtualServer(clock, lambda _: 12 * MS), WARM, workers=1)
    arrivals = Arrivals("open_loop_constant", 100.0)
    with pytest.raises(BackendError, match="are more than int8 at call level serves here"):
        measure_arrivals([server], arrivals, Amount(seconds=10), Instruments(clock))


def test_service_that_answers_nothing_ends_in_one_line() -> None:
    clock = VirtualClock()

    class Silent(VirtualServer):
        def send(self, number: int) -> None:
            pass

    with pytest.raises(BackendError, match="1 request got no answer within 60 s"):
        open_loop.run(
            schedule.at_once(1), Silent(clock, lambda _: 0), clock, nothing,
            what="it", per_second=None,
        )  # fmt: skip


def test_burst_gives_the_time_to_each_image_and_to_the_last() -> None:
    clock = VirtualClock()
    server = Server("int8", "image", VirtualServer(clock, lambda _: 5 * MS), WARM, workers=1)
    found = measure_arrivals(
        [server], Arrivals("burst", burst=40), Amount(samples=7), Instruments(clock)
    )
    (series,) = found.series
    assert (series.durations_ns[:40] / MS).tolist() == [5 * (n + 1) for n in range(40)]
    assert series.turns.tolist() == sorted(list(range(7)) * 40)
    assert series.window_ns == 7 * 200 * MS
    assert series.offered_per_second is None


def test_subjects_take_turns_with_the_same_arrivals() -> None:
    clock = VirtualClock()
    servers = [
        Server(name, "image", VirtualServer(clock, lambda _: MS), WARM, workers=1)
        for name in ("a", "b")
    ]
    found = measure_arrivals(
        servers, Arrivals("open_loop_poisson", 50.0), Amount(seconds=20), Instruments(clock)
    )
    first, second = found.series
    assert set(first.turns.tolist()) == set(second.turns.tolist()) == {0, 1}
    for turn in (0, 1):
        gaps = [np.diff(one.starts_ns[one.turns == turn]) for one in (first, second)]
        assert gaps[0].tolist() == gaps[1].tolist()


def test_lateness_of_the_generator_is_a_note() -> None:
    clock = VirtualClock()

    class Slow(VirtualServer):
        def send(self, number: int) -> None:
            super().send(number)
            clock.pass_ns(MS)

    server = Server("int8", "call", Slow(clock, lambda _: 2 * MS), WARM, workers=1)
    found = measure_arrivals(
        [server], Arrivals("open_loop_constant", 50.0), Amount(samples=10), Instruments(clock)
    )
    (note,) = found.notes
    assert "the generator sent 1.00 ms late at p50" in note
    assert "the machine is too busy to send in time" in note


def test_no_more_requests_wait_than_the_schedule_has() -> None:
    clock = VirtualClock()

    class Stalled(VirtualServer):
        def send(self, number: int) -> None:
            super().send(number)
            clock.pass_ns(1000 * MS)

    with pytest.raises(BackendError, match="200 images waited"):
        open_loop.run(
            schedule.constant(100, 2.0),
            Stalled(clock, lambda _: 1000 * 1000 * MS),
            clock,
            nothing,
            what="it",
            per_second=50,
        )


def test_record_counts_what_is_unanswered() -> None:
    record = Record(2)
    record.sent(0, 5)
    record.sent(1, 6)
    record.answered(1, 9, "one")
    assert (record.unanswered, record.answers) == (1, 1)
    assert record.returned == [None, "one"]
