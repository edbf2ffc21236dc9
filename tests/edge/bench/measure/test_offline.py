from __future__ import annotations

import threading

import pytest

from edge.bench.measure.amount import Amount
from edge.bench.measure.clock import RealClock
from edge.bench.measure.offline import offline
from edge.bench.measure.passes import Pass, measure_passes
from edge.bench.measure.pool import Pool
from edge.bench.measure.record import Record
from edge.bench.measure.task import Instruments, Task
from edge.errors import BackendError, TransientError
from tests.support.virtual_time import VirtualClock
from tests.support.waiting import until


def test_offline_gives_every_image_to_exactly_one_worker_in_each_pass() -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def run(number: int) -> None:
        with lock:
            seen.append(number)

    one = Task("it", "call", run, images_per_call=4)
    found = offline([one], Amount(samples=3), Instruments(RealClock()), images=10, workers=2)
    (series,) = found.series
    warm = series.warm_up.calls
    # Three calls of four images hold ten; each pass goes on where the one before ended.
    assert sorted(seen[warm:]) == [*range(9)]
    assert sorted(series.turns.tolist()) == sorted([0, 1, 2] * 3)
    assert (series.workers, series.images_per_call) == (2, 4)
    assert series.window_ns >= series.durations_ns.sum() // 2


@pytest.mark.parametrize("seconds", [10.0, 1.0])
def test_offline_of_many_images_takes_the_planned_time(seconds: float) -> None:
    clock = VirtualClock()
    told: list[tuple[int, int]] = []

    def take(name: str, call_s: float, batch: int) -> Task:
        return Task(
            name,
            "call",
            lambda _number: clock.pass_ns(round(call_s * 1e9)),
            images_per_call=batch,
        )

    tasks = [take("fast", 0.01, 1), take("slow", 0.2, 8)]
    instruments = Instruments(clock, on_progress=lambda done, total: told.append((done, total)))
    found = offline(tasks, Amount(seconds), instruments, images=100_000, workers=1)
    took_s = sum(one.window_ns for one in found.series) / 1e9
    # Six passes of two calls of eight images take longer than a second.
    least_s = 6 * 2 * (8 * 0.01 + 0.2)
    assert took_s == pytest.approx(max(seconds, least_s), rel=0.25)
    # The end was told from the first pass on.
    assert told[0][1] == pytest.approx(took_s, abs=0.2 * took_s + 1)
    assert told[-1] == (round(took_s), round(took_s))


@pytest.mark.parametrize(("pass_s", "calls"), [(30.0, 1), (2.0, 2)])
def test_warm_up_of_passes_that_take_longer_than_its_limit_is_one(
    pass_s: float, calls: int
) -> None:
    one = Pass("it", "file", lambda: pass_s, images=500)
    found = measure_passes([one], Amount(samples=7), Instruments(VirtualClock()))
    assert found.series[0].warm_up.calls == calls
    assert found.series[0].warm_up.is_stable


def test_passes_take_turns_and_a_sample_is_a_pass() -> None:
    clock = VirtualClock()
    order: list[str] = []

    def taking(name: str, seconds: float) -> Pass:
        def run() -> float:
            order.append(name)
            clock.pass_ns(round((seconds + 1) * 1e9))
            return seconds

        return Pass(name, "file", run, images=100, workers=2)

    found = measure_passes(
        [taking("a", 2.0), taking("b", 4.0)], Amount(samples=7), Instruments(clock), notes=["x"]
    )
    first, second = found.series
    assert order[-4:] == ["a", "b", "a", "b"]
    assert set(first.durations_ns.tolist()) == {2_000_000_000}
    assert (second.images_per_call, len(second.turns), second.warm_up.calls) == (100, 7, 2)
    assert first.warm_up.is_stable
    assert found.notes == ("x",)


def test_pool_serves_in_other_threads_and_notes_answers() -> None:
    record = Record(5)
    with Pool(Task("it", "call", lambda number: number * 2), 2, RealClock()) as pool:
        pool.begin(record)
        for number in range(5):
            pool.send(number)
            record.sent(number, 1)
        while record.unanswered:
            pool.wait(1)
    assert record.returned == [0, 2, 4, 6, 8]
    assert (record.done_ns >= record.begun_ns).all()
    assert record.begun_ns.min() > 0


@pytest.mark.parametrize("error", [TransientError("busy"), ValueError("broken")])
def test_pool_whose_worker_fails_raises_that_where_answers_are_waited_for(error: Exception) -> None:
    def fail(_number: int) -> None:
        raise error

    with Pool(Task("it", "call", fail), 1, RealClock()) as pool:
        pool.begin(Record(1))
        pool.send(0)
        expected = TransientError if isinstance(error, TransientError) else BackendError
        with pytest.raises(expected, match=str(error)):
            until(lambda: pool.wait(1), timeout_s=15)
