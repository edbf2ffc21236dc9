"""The modes in which requests arrive: open loops at a rate, and bursts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.bench.measure import open_loop, schedule
from edge.bench.measure.amount import LEAST_BURSTS, Amount
from edge.bench.measure.clock import Clock
from edge.bench.measure.closed_loop import by_stage
from edge.bench.measure.open_loop import Answers
from edge.bench.measure.record import Service
from edge.bench.measure.task import Energy, Instruments, Measured, Stages, measured, no_stages
from edge.bench.statistics.names import Level, Mode
from edge.bench.statistics.percentiles import Estimate, percentile
from edge.bench.statistics.series import Series, WarmUp
from edge.text.progress import OnCount

# Several subjects take turns of this length; a single one has one turn, without the empty queue
# at the beginning of each.
_TURN_S: Final = 5.0
# A generator that is later than this share of the median latency has a part in the figures.
_LATE_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A service that is warm, and what it serves."""

    subject: str
    level: Level
    service: Service
    warm_up: WarmUp
    workers: int
    threads: int = 1
    stages: Callable[[Any, int], Stages] = no_stages

    @property
    def name(self) -> str:
        """For messages."""
        workers = f" with {self.workers} workers" if self.workers > 1 else ""
        return f"{self.subject} at {self.level} level{workers}"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """An open loop at a rate, or bursts.

    Attributes:
        mode: `open_loop_constant`, `open_loop_poisson` or `burst`.
        per_second: the rate of an open loop; None for bursts.
        burst: images in a burst.
    """

    mode: Mode
    per_second: float | None = None
    burst: int = 200

    def schedule(self, turn: int, seconds: float) -> NDArray[np.int64]:
        """The arrivals of one turn of an open loop, or of one burst."""
        if self.per_second is None:
            return schedule.at_once(self.burst)
        if self.mode == "open_loop_poisson":
            return schedule.poisson(self.per_second, seconds, schedule.SEED + turn)
        return schedule.constant(self.per_second, seconds)

    def plan(self, amount: Amount, servers: int) -> tuple[int, float]:
        """Turns and the seconds of each turn; for bursts the fewest, of no known length."""
        if self.per_second is None:
            return amount.samples or LEAST_BURSTS, 0.0
        seconds = (amount.seconds or 0) / servers
        if amount.samples is not None:
            seconds = amount.samples / self.per_second
        turns = 1 if servers == 1 else max(1, round(seconds / _TURN_S))
        return turns, seconds / turns


@dataclass(slots=True)
class _Turns:
    server: Server
    energy: Energy
    answers: list[Answers] = field(default_factory=list)


def measure_arrivals(
    servers: Sequence[Server],
    arrivals: Arrivals,
    amount: Amount,
    instruments: Instruments,
) -> Measured:
    """Let requests arrive at each server in turns.

    Args:
        servers: warm ones.
        amount: seconds of all together; samples are requests of an open loop, or bursts.

    Raises:
        BackendError: a server does not hold the rate.
    """
    clock = instruments.clock
    running = [_Turns(server, Energy(instruments)) for server in servers]
    start_ns, turn, done = clock.now_ns(), 0, 0
    turns, seconds = arrivals.plan(amount, len(servers))
    goes_on_ns = 0 if arrivals.per_second or amount.samples else int((amount.seconds or 0) * 1e9)
    while turn < turns or clock.now_ns() - start_ns < goes_on_ns:
        for one in running:
            arrivals_ns = arrivals.schedule(turn, seconds)
            total = max(turns * len(running) * len(arrivals_ns), done + len(arrivals_ns))
            report = _shifted(instruments.on_progress, done, total)
            with one.energy.turn():
                one.answers.append(_run(one.server, arrivals_ns, arrivals, clock, report))
            done += len(arrivals_ns)
        turn += 1
    found = [(_series(one, arrivals, start_ns), one.energy) for one in running]
    notes = [_lateness(series, one) for (series, _), one in zip(found, running, strict=True)]
    return measured(found, notes)


def _run(
    server: Server,
    arrivals_ns: NDArray[np.int64],
    arrivals: Arrivals,
    clock: Clock,
    on_progress: OnCount,
) -> Answers:
    return open_loop.run(
        arrivals_ns,
        server.service,
        clock,
        on_progress,
        what=server.name,
        per_second=arrivals.per_second,
    )


def _shifted(on_progress: OnCount, before: int, total: int) -> OnCount:
    def report(done: int, _total: int) -> None:
        on_progress(before + done, total)

    return report


def _series(one: _Turns, arrivals: Arrivals, start_ns: int) -> Series:
    def joined(of: Callable[[Answers], NDArray[np.int64]]) -> NDArray[np.int64]:
        return np.concatenate([of(answers) for answers in one.answers])

    stages = [found for answers in one.answers for found in _stages(answers, one.server)]
    return Series(
        subject=one.server.subject,
        level=one.server.level,
        mode=arrivals.mode,
        durations_ns=joined(lambda answers: answers.durations_ns),
        starts_ns=joined(lambda answers: answers.intended_ns) - start_ns,
        turns=np.repeat(
            np.arange(len(one.answers)), [len(a.durations_ns) for a in one.answers]
        ).astype(np.int64),
        warm_up=one.server.warm_up,
        window_ns=sum(answers.window_ns for answers in one.answers),
        threads=one.server.threads,
        workers=one.server.workers,
        offered_per_second=arrivals.per_second,
        stages_ns=by_stage(stages),
    )


def _stages(answers: Answers, server: Server) -> Iterator[Stages]:
    """The stages of every request, and how long it waited where that is known."""
    record = answers.record
    for number, duration_ns in enumerate(answers.durations_ns.tolist()):
        begun_ns = int(record.begun_ns[number])
        waited_ns = begun_ns - int(answers.intended_ns[number]) if begun_ns else 0
        found = server.stages(record.returned[number], duration_ns - waited_ns)
        yield {"wait": waited_ns, **found} if begun_ns else found


def _lateness(series: Series, one: _Turns) -> str:
    late_ns = np.concatenate([answers.late_ns for answers in one.answers])
    if series.offered_per_second is None:
        return (
            f"{one.server.name}: a burst was sent within {late_ns.max() / 1e6:.2f} ms at most; "
            "latencies count from its start and contain this"
        )
    known = {percent: percentile(late_ns, percent) for percent in (50.0, 99.0)}
    told = [f"{f.value:.2f} ms at p{p:g}" for p, f in known.items() if isinstance(f, Estimate)]
    late = ", ".join([*told, f"{late_ns.max() / 1e6:.2f} ms at most"])
    text = (
        f"{one.server.name}: the generator sent {late.replace(' ms', ' ms late', 1)}; latencies "
        "count from the intended start and contain this"
    )
    if np.percentile(late_ns, 99) > _LATE_SHARE * float(np.median(series.durations_ns)):
        text += ", which is much beside them: the machine is too busy to send in time"
    return text
