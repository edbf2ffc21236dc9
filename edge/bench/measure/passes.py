"""Offline, of which only the time of a whole pass is known: the passes take turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edge.bench.measure.amount import LEAST_ROUNDS, Amount
from edge.bench.measure.task import Energy, Instruments, Measured, measured
from edge.bench.statistics.names import Level
from edge.bench.statistics.series import Series, WarmUp

# A pass is warm once it takes about as long as the one before; so many passes at most, and none
# after the time for the warm-up.
_TOLERANCE: Final = 0.1
_MOST_WARM_UPS: Final = 4


@dataclass(frozen=True, slots=True)
class Pass:
    """One way of labelling a number of images that are there at once.

    Attributes:
        run: labels all of them and returns the seconds that count.
        images: how many.
    """

    subject: str
    level: Level
    run: Callable[[], float]
    images: int
    workers: int = 1
    threads: int = 1


@dataclass(slots=True)
class _Running:
    one: Pass
    warm_up: WarmUp
    energy: Energy
    samples_ns: list[tuple[int, int]] = field(default_factory=list)


def measure_passes(
    passes: Sequence[Pass], amount: Amount, instruments: Instruments, *, notes: Sequence[str] = ()
) -> Measured:
    """Warm every pass up, then let each run once in every round.

    Args:
        amount: its samples are rounds.

    Raises:
        EdgeError: what a pass raises.
    """
    clock = instruments.clock
    running: list[_Running] = []
    for one in passes:
        instruments.on_warm_up(len(running), len(passes))
        running.append(_Running(one, _warmed_up(one, amount.warm_up_s), Energy(instruments)))
    start_ns, rounds, least = clock.now_ns(), 0, amount.samples or LEAST_ROUNDS
    goes_on_ns = 0 if amount.samples else int((amount.seconds or 0) * 1e9)
    instruments.on_progress(0, least)
    while rounds < least or clock.now_ns() - start_ns < goes_on_ns:
        for found in running:
            with found.energy.turn():
                duration_ns = round(found.one.run() * 1e9)
            found.samples_ns.append((clock.now_ns() - start_ns - duration_ns, duration_ns))
        rounds += 1
        instruments.on_progress(rounds, max(least, rounds))
    return measured([(_series(found), found.energy) for found in running], notes)


def _warmed_up(one: Pass, most_s: float) -> WarmUp:
    seconds = [one.run()]
    # What is cold at the beginning of a pass that takes longer than the limit is little of it.
    is_stable = seconds[0] >= most_s
    while not is_stable and sum(seconds) < most_s and len(seconds) < _MOST_WARM_UPS:
        seconds.append(one.run())
        is_stable = abs(seconds[-1] - seconds[-2]) <= _TOLERANCE * seconds[-2]
    return WarmUp(len(seconds), sum(seconds), is_stable)


def _series(found: _Running) -> Series:
    one = found.one
    starts_ns, durations_ns = zip(*found.samples_ns, strict=True)
    return Series(
        subject=one.subject,
        level=one.level,
        mode="offline",
        durations_ns=np.array(durations_ns, np.int64),
        starts_ns=np.array(starts_ns, np.int64),
        turns=np.arange(len(durations_ns), dtype=np.int64),
        warm_up=found.warm_up,
        window_ns=sum(durations_ns),
        images_per_call=one.images,
        threads=one.threads,
        workers=one.workers,
    )
