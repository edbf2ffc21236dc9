"""Single stream: one request after the other, the tasks in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from edge.backends.interleave import TimedCall, one_turn
from edge.bench.measure.amount import Amount
from edge.bench.measure.clock import Clock
from edge.bench.measure.task import Energy, Instruments, Measured, Stages, Task, measured
from edge.bench.measure.warm_up import warm_up
from edge.bench.statistics.series import Nanoseconds, Series, WarmUp

# A turn is short beside the changes of a shared machine's speed, and long beside one call.
_TURN_NS: Final = 50_000_000
_MOST_CALLS: Final = 50
# However short the time, so that there is something to compare between turns.
_LEAST_TURNS: Final = 3
_TURNS_OF_SAMPLES: Final = 20


@dataclass(slots=True)
class _Running:
    """A task that is being measured."""

    task: Task
    warm_up: WarmUp
    calls_per_turn: int
    energy: Energy
    timed: list[TimedCall[Any]] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    next_number: int = 0


def single_stream(tasks: Sequence[Task], amount: Amount, instruments: Instruments) -> Measured:
    """Warm every task up, then give each a turn in every round."""
    clock = instruments.clock
    running: list[_Running] = []
    for task in tasks:
        instruments.on_warm_up(len(running), len(tasks))
        running.append(_warmed_up(task, amount, instruments))
    start_ns, turn = clock.now_ns(), 0
    while not _is_done(running, amount, clock.now_ns() - start_ns, turn):
        for one in running:
            instruments.before_turn()
            _take_turn(one, turn, amount, clock)
        turn += 1
        instruments.on_progress(*_progress(running, amount, clock.now_ns() - start_ns, turn))
    return measured([(_series(one, start_ns), one.energy) for one in running])


def _warmed_up(task: Task, amount: Amount, instruments: Instruments) -> _Running:
    def call(number: int) -> object:
        task.prepare(number)
        return task.run(number)

    warmth, call_ns = warm_up(call, instruments.clock, amount.warm_up_s)
    calls = max(1, min(_MOST_CALLS, round(_TURN_NS / max(call_ns, 1))))
    if amount.samples is not None:
        calls = max(1, min(calls, amount.samples // _TURNS_OF_SAMPLES))
    return _Running(task, warmth, calls, Energy(instruments), next_number=warmth.calls)


def _take_turn(one: _Running, turn: int, amount: Amount, clock: Clock) -> None:
    calls = one.calls_per_turn
    if amount.samples is not None:
        calls = min(calls, amount.samples - len(one.timed))
    if calls <= 0:
        return
    with one.energy.turn():
        found = one_turn(
            one.task.run, one.next_number, calls, before=one.task.prepare, clock_ns=clock.now_ns
        )
    # The untimed call has a number too.
    one.next_number += calls + 1
    one.timed += found
    one.turns += [turn] * calls


def _is_done(running: list[_Running], amount: Amount, elapsed_ns: int, turn: int) -> bool:
    if amount.samples is not None:
        return all(len(one.timed) >= amount.samples for one in running)
    return turn >= _LEAST_TURNS and elapsed_ns >= (amount.seconds or 0) * 1e9


def _progress(
    running: list[_Running], amount: Amount, elapsed_ns: int, turn: int
) -> tuple[int, int]:
    if amount.samples is not None:
        return min(len(one.timed) for one in running), amount.samples
    return seconds_of(amount, elapsed_ns, turn, _LEAST_TURNS)


def seconds_of(amount: Amount, elapsed_ns: int, turns: int, least: int) -> tuple[int, int]:
    """The seconds that have passed and those that it takes in all.

    These are more than the plan's where so many are needed for the fewest turns.
    """
    elapsed_s = elapsed_ns / 1e9
    expected_s = elapsed_s / turns * max(turns, least) if turns else 0.0
    return round(elapsed_s), round(max(amount.seconds or 0, expected_s, elapsed_s))


def _series(one: _Running, start_ns: int) -> Series:
    durations_ns = np.array([call.duration_ns for call in one.timed], np.int64)
    return Series(
        subject=one.task.subject,
        level=one.task.level,
        mode="single_stream",
        durations_ns=durations_ns,
        starts_ns=np.array([call.start_ns - start_ns for call in one.timed], np.int64),
        turns=np.array(one.turns, np.int64),
        warm_up=one.warm_up,
        window_ns=int(durations_ns.sum()),
        images_per_call=one.task.images_per_call,
        threads=one.task.threads,
        stages_ns=by_stage([one.task.stages(c.returned, c.duration_ns) for c in one.timed]),
    )


def by_stage(stages: Sequence[Stages]) -> dict[str, Nanoseconds]:
    """The stages of all samples by name; a sample without one has 0 there."""
    names = dict.fromkeys(name for one in stages for name in one)
    return {name: np.array([one.get(name, 0) for one in stages], np.int64) for name in names}
