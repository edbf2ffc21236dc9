"""Joins levels and modes: which requests are made of which subjects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edge.bench.against.contender import Contender
from edge.bench.levels.call import call_task
from edge.bench.levels.daemon import DaemonStart
from edge.bench.levels.engine import engine_task
from edge.bench.levels.file import FileService, file_level, read_sidecar, sidecar_stages
from edge.bench.levels.image import image_task
from edge.bench.levels.once import BARE_LOOP, NOTE, Once, enough, loop_s
from edge.bench.levels.pictures import Pictures
from edge.bench.measure.arrivals import Arrivals, Server, measure_arrivals
from edge.bench.measure.closed_loop import single_stream
from edge.bench.measure.offline import offline
from edge.bench.measure.passes import Pass, measure_passes
from edge.bench.measure.pool import Pool
from edge.bench.measure.task import Instruments, Measured, Task
from edge.bench.measure.warm_up import warm_up
from edge.bench.plan import BURST, Plan
from edge.bundle import Bundle
from edge.golden import golden_labeller
from edge.session import InferenceSession

# A pass over the images offline has at least so many.
_LEAST_OFFLINE: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What is opened for a plan.

    Attributes:
        sessions: by threads of one inference; checked.
        scratch: an empty folder on the disk whose speed is measured.
    """

    plan: Plan
    bundle: Bundle
    pictures: Pictures
    sessions: dict[int, list[InferenceSession]]
    contenders: tuple[Contender, ...]
    scratch: Path

    @property
    def each_session(self) -> Iterator[tuple[int, InferenceSession]]:
        """Threads and session."""
        return ((n, session) for n, group in self.sessions.items() for session in group)


def measure_in_mode(bench: Bench, instruments: Instruments, stack: ExitStack) -> Measured:
    """Measure what the plan says.

    Args:
        stack: what is started for the measurement is stopped with it.

    Raises:
        EdgeError: a request failed, or a rate is not held.
    """
    plan = bench.plan
    if plan.mode == "single_stream":
        tasks = [*_tasks(bench, stack), *_file_tasks(bench, instruments, stack)]
        return single_stream(tasks, plan.amount, instruments)
    if plan.mode == "offline":
        return _offline(bench, instruments, stack)
    arrivals = Arrivals(plan.mode, plan.rate, plan.burst or BURST)
    servers = [*_pools(bench, instruments, stack), *_daemons(bench, instruments, stack)]
    return measure_arrivals(servers, arrivals, plan.amount, instruments)


def _tasks(bench: Bench, stack: ExitStack) -> list[Task]:
    """The requests that this process serves, of our sessions and of the contenders."""
    tasks: list[Task] = []
    for level in bench.plan.levels:
        for batch in bench.plan.batches:
            for threads, session in bench.each_session:
                if level == "engine":
                    engine = engine_task(session, bench.pictures, batch, threads)
                    tasks.append(stack.enter_context(engine))
                elif level == "call":
                    tasks.append(call_task(session, bench.pictures, batch, threads))
                elif level == "image":
                    tasks.append(_image_task(bench, session, batch, threads))
            for contender in bench.contenders:
                tasks += _contender_tasks(bench, contender, level, batch)
    return tasks


def _image_task(bench: Bench, session: InferenceSession, batch: int, threads: int) -> Task:
    output = None
    # A contender writes no sidecars between its calls, and they leave the caches in another state.
    if bench.plan.mode == "single_stream" and not bench.contenders:
        output = bench.scratch / f"sidecars-{session.precision}-{threads}-{batch}"
        output.mkdir()
    labeller = golden_labeller(bench.bundle, session)
    return image_task(bench.bundle, labeller, bench.pictures, batch, threads, output)


def _contender_tasks(bench: Bench, contender: Contender, level: str, batch: int) -> Iterator[Task]:
    pictures = bench.pictures
    if level == "call":
        task = call_task(contender.session, pictures, batch, contender.threads)
        yield replace(task, subject=contender.subject)
    if level == "image" and batch == 1:
        yield Task(
            contender.subject,
            "image",
            lambda number: contender.label(pictures.path(number)),
            threads=contender.threads,
        )


def _offline(bench: Bench, instruments: Instruments, stack: ExitStack) -> Measured:
    plan, found = bench.plan, Measured(())
    amount = plan.amount
    levels = [level for level in plan.levels if level != "file"]
    if "file" in plan.levels and levels and amount.seconds:
        amount = replace(amount, seconds=amount.seconds / 2)
    if levels:
        found += offline(
            _tasks(bench, stack),
            amount,
            instruments,
            images=max(len(bench.pictures.paths), _LEAST_OFFLINE),
            workers=plan.served_at_once,
        )
    if "file" in plan.levels:
        passes = [one for pair in bench.each_session for one in _passes(bench, *pair)]
        passes += [_contender_pass(bench, one) for one in bench.contenders]
        found += measure_passes(passes, amount, instruments, notes=[NOTE])
    return found


def _passes(bench: Bench, threads: int, session: InferenceSession) -> list[Pass]:
    folder = bench.scratch / f"once-{session.precision}-{threads}"
    once = Once(
        bench.bundle,
        session,
        enough(list(bench.pictures.paths), bench.plan.amount.seconds),
        folder,
        bench.plan.served_at_once,
        threads,
        DaemonStart(settings=_settings(bench, session.precision)),
    )
    passes = once.passes()
    if len(bench.plan.precisions) > 1:
        # Two bare loops need two names.
        passes[0] = replace(passes[0], subject=f"{BARE_LOOP} {session.precision}")
    return passes


def _contender_pass(bench: Bench, contender: Contender) -> Pass:
    images = enough(list(bench.pictures.paths), bench.plan.amount.seconds)
    return Pass(
        contender.subject,
        "image",
        lambda: loop_s(contender.label, images, 1),
        len(images),
        threads=contender.threads,
    )


def _pools(bench: Bench, instruments: Instruments, stack: ExitStack) -> list[Server]:
    servers: list[Server] = []
    tasks = _tasks(bench, stack)
    for task in tasks:
        instruments.on_warm_up(len(servers), len(tasks))
        warmth, _ = warm_up(task.run, instruments.clock, bench.plan.amount.warm_up_s)
        workers = bench.plan.served_at_once
        pool = stack.enter_context(Pool(task, workers, instruments.clock))
        servers.append(
            Server(task.subject, task.level, pool, warmth, workers, task.threads, task.stages)
        )
    return servers


def _daemons(bench: Bench, instruments: Instruments, stack: ExitStack) -> list[Server]:
    servers: list[Server] = []
    for precision, service in _services(bench, instruments, stack):
        warmth, _ = warm_up(service.one_by_one, instruments.clock, bench.plan.amount.warm_up_s)
        workers, threads = bench.plan.served_at_once, bench.plan.threads[0]
        servers.append(Server(precision, "file", service, warmth, workers, threads, sidecar_stages))
    return servers


def _file_tasks(bench: Bench, instruments: Instruments, stack: ExitStack) -> list[Task]:
    threads = bench.plan.threads[0]
    services = _services(bench, instruments, stack)
    return [service.task(precision, threads) for precision, service in services]


def _services(
    bench: Bench, instruments: Instruments, stack: ExitStack
) -> Iterator[tuple[str, FileService]]:
    """A running daemon for each precision, which is what it says in its first sidecar."""
    if "file" not in bench.plan.levels:
        return
    for number, precision in enumerate(bench.plan.precisions or (None,)):
        settings = {**_settings(bench, precision), "threads": bench.plan.threads[0]}
        service = stack.enter_context(
            file_level(
                bench.bundle,
                list(bench.pictures.paths),
                bench.scratch / f"service-{number}",
                DaemonStart(settings=settings),
                instruments.clock,
            )
        )
        yield str(read_sidecar(service.one_by_one(0))["model"]["precision"]), service


def _settings(bench: Bench, precision: str | None) -> dict[str, object]:
    settings: dict[str, object] = {"backend": bench.plan.backend}
    if bench.plan.mode != "single_stream":
        settings["workers"] = bench.plan.served_at_once
    return settings if precision is None else {**settings, "precision": precision}
