"""Offline: all images are there at once, and some workers take the next as fast as they can."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np

from edge.bench.measure.amount import LEAST_PASSES, Amount
from edge.bench.measure.clock import Clock
from edge.bench.measure.closed_loop import by_stage, seconds_of
from edge.bench.measure.task import Energy, Instruments, Measured, Task, measured
from edge.bench.measure.warm_up import warm_up
from edge.bench.statistics.series import Series, WarmUp

# So many are planned: a machine becomes slower when all of its cores work.
_PLANNED_PASSES: Final = 8
# A pass of fewer calls is over before all workers are busy.
_LEAST_CALLS: Final = 2


@dataclass(slots=True)
class _Passes:
    """A task that is being measured, and its calls: start, duration, pass, what was returned."""

    task: Task
    warm_up: WarmUp
    energy: Energy
    calls: list[tuple[int, int, int, Any]] = field(default_factory=list)
    window_ns: int = 0


def offline(
    tasks: Sequence[Task],
    amount: Amount,
    instruments: Instruments,
    *,
    images: int,
    workers: int,
) -> Measured:
    """Let the tasks take turns; a turn is a pass over images by `workers` threads.

    Args:
        amount: its samples are passes.
        images: those of a pass. Where the seconds do not suffice for that, a pass has fewer, and
            the next one goes on with those that follow.
    """
    clock = instruments.clock
    running: list[_Passes] = []
    image_ns = 0.0
    for task in tasks:
        instruments.on_warm_up(len(running), len(tasks))
        warmth, call_ns = warm_up(task.run, clock, amount.warm_up_s)
        running.append(_Passes(task, warmth, Energy(instruments)))
        image_ns += call_ns / task.images_per_call
    if amount.seconds is not None:
        wide = max(task.images_per_call for task in tasks)
        fits = int(amount.seconds * 1e9 / _PLANNED_PASSES / max(image_ns, 1) * workers)
        images = min(images, max(fits, _LEAST_CALLS * workers * wide))
    start_ns, turn = clock.now_ns(), 0
    with ThreadPoolExecutor(workers) as pool:
        while not _is_done(amount, clock.now_ns() - start_ns, turn):
            for one in running:
                with one.energy.turn():
                    _pass(one, turn, pool, workers, images, clock)
            turn += 1
            instruments.on_progress(*_progress(amount, clock.now_ns() - start_ns, turn))
    return measured([(_series(one, start_ns, workers), one.energy) for one in running])


def _pass(
    one: _Passes, turn: int, pool: ThreadPoolExecutor, workers: int, images: int, clock: Clock
) -> None:
    calls = -(-images // one.task.images_per_call)
    first = turn * calls
    numbers, last = count(first), first + calls

    def work() -> list[tuple[int, int, int, Any]]:
        done = []
        while (number := next(numbers)) < last:
            before_ns = clock.now_ns()
            returned = one.task.run(number)
            done.append((before_ns, clock.now_ns() - before_ns, turn, returned))
        return done

    begin_ns = clock.now_ns()
    for future in [pool.submit(work) for _ in range(workers)]:
        one.calls += future.result()
    one.window_ns += clock.now_ns() - begin_ns


def _is_done(amount: Amount, elapsed_ns: int, turn: int) -> bool:
    if amount.samples is not None:
        return turn >= amount.samples
    return turn >= LEAST_PASSES and elapsed_ns >= (amount.seconds or 0) * 1e9


def _progress(amount: Amount, elapsed_ns: int, turn: int) -> tuple[int, int]:
    if amount.samples is not None:
        return turn, amount.samples
    return seconds_of(amount, elapsed_ns, turn, LEAST_PASSES)


def _series(one: _Passes, start_ns: int, workers: int) -> Series:
    calls = sorted(one.calls, key=lambda call: call[0])
    starts_ns, durations_ns, turns, returned = zip(*calls, strict=True)
    return Series(
        subject=one.task.subject,
        level=one.task.level,
        mode="offline",
        durations_ns=np.array(durations_ns, np.int64),
        starts_ns=np.array(starts_ns, np.int64) - start_ns,
        turns=np.array(turns, np.int64),
        warm_up=one.warm_up,
        window_ns=one.window_ns,
        images_per_call=one.task.images_per_call,
        threads=one.task.threads,
        workers=workers,
        stages_ns=by_stage(
            [one.task.stages(r, d) for r, d in zip(returned, durations_ns, strict=True)]
        ),
    )
