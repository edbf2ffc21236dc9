from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.bench.measure.amount import Amount
from edge.bench.measure.closed_loop import single_stream
from edge.bench.measure.task import Instruments, Task
from edge.bench.measure.warm_up import warm_up
from tests.support.virtual_time import VirtualClock

MS = 1_000_000


def task(clock: VirtualClock, name: str, milliseconds: int, **settings: Any) -> Task:
    return Task(name, "call", lambda _: clock.pass_ns(milliseconds * MS), **settings)


def test_single_stream_gives_each_task_its_turns_and_its_own_durations() -> None:
    clock = VirtualClock()
    tasks = [task(clock, "fast", 5), task(clock, "slow", 20)]
    fast, slow = single_stream(tasks, Amount(seconds=2), Instruments(clock)).series
    assert set(fast.durations_ns.tolist()) == {5 * MS}
    assert set(slow.durations_ns.tolist()) == {20 * MS}
    # Turns of 50 ms: ten calls of one, two or three of the other.
    assert fast.turns.tolist().count(0) == 10
    assert slow.turns.tolist().count(0) == 2
    assert fast.turns.max() == slow.turns.max()
    assert fast.window_ns == fast.durations_ns.sum()
    assert (fast.starts_ns[1:] > fast.starts_ns[:-1]).all()


def test_single_stream_with_samples_takes_exactly_so_many() -> None:
    clock = VirtualClock()
    tasks = [task(clock, "fast", 1), task(clock, "slow", 200)]
    found = single_stream(tasks, Amount(samples=33), Instruments(clock)).series
    assert [len(one.durations_ns) for one in found] == [33, 33]


def test_single_stream_waits_before_each_turn_and_does_not_count_it() -> None:
    clock = VirtualClock()
    order: list[str] = []

    def run(_number: int) -> None:
        order.append("call")
        clock.pass_ns(25 * MS)

    def wait() -> None:
        order.append("wait")
        clock.pass_ns(55 * MS)

    one = Task("it", "call", run)
    found = single_stream([one], Amount(seconds=2), Instruments(clock, before_turn=wait))
    (series,) = found.series
    assert order.count("wait") == series.turns.max() + 1
    # A turn: the wait, the call that is not timed, and two that are.
    assert order[-4:] == ["wait", "call", "call", "call"]
    assert set(series.durations_ns.tolist()) == {25 * MS}


def test_single_stream_does_not_count_preparation_and_passes_its_number() -> None:
    clock = VirtualClock()
    prepared: list[int] = []

    def prepare(number: int) -> None:
        prepared.append(number)
        clock.pass_ns(50 * MS)

    def run(number: int) -> int:
        assert prepared[-1] == number
        clock.pass_ns(MS)
        return number

    def stages(returned: int, duration_ns: int) -> Mapping[str, int]:
        return {"a": returned, "b": duration_ns}

    one = Task("it", "call", run, stages=stages, prepare=prepare)
    (series,) = single_stream([one], Amount(samples=20), Instruments(clock)).series
    assert set(series.durations_ns.tolist()) == {MS}
    assert series.stages_ns["b"].tolist() == [MS] * 20
    assert set(series.stages_ns["a"].tolist()) <= set(prepared)
    assert prepared == sorted(set(prepared))


def test_warm_up_ends_once_calls_take_the_same_time() -> None:
    clock = VirtualClock()
    # Twenty slow calls, each faster than the one before, then all alike.
    durations = [100 - 4 * n for n in range(20)]

    def call(number: int) -> None:
        clock.pass_ns((durations[number] if number < len(durations) else 20) * MS)

    found, call_ns = warm_up(call, clock, 5.0)
    assert found.is_stable
    assert found.calls > len(durations)
    assert call_ns == 20 * MS
    assert found.seconds < 5


def test_warm_up_that_never_settles_ends_and_says_so() -> None:
    clock = VirtualClock()
    found, _ = warm_up(lambda number: clock.pass_ns((10 + 5 * number) * MS), clock, 5.0)
    assert not found.is_stable
    assert 5 <= found.seconds < 11


def test_energy_is_counted_in_the_turns_of_each_task() -> None:
    clock = VirtualClock()
    tasks = [task(clock, "fast", 5), task(clock, "slow", 20)]
    # A machine that takes 10 watts all the time.
    instruments = Instruments(clock, joules=lambda: clock.now_ns() / 1e9 * 10)
    found = single_stream(tasks, Amount(samples=40), instruments)
    fast, slow = (found.joules[one.id] for one in found.series)
    # 40 calls and the untimed call of each of 20 turns.
    assert round(fast, 6) == 60 * 0.005 * 10
    assert round(slow, 6) == 60 * 0.020 * 10


def test_energy_that_is_not_counted_is_left_out() -> None:
    clock = VirtualClock()
    found = single_stream([task(clock, "it", 1)], Amount(samples=20), Instruments(clock))
    assert dict(found.joules) == {}
