"""One measurement, from its plan to its document. Read this first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge.backends.trt.library import LIBRARIES
from edge.bench.against.contenders import Opened, open_contenders, require_known
from edge.bench.levels.pictures import read_pictures
from edge.bench.machine.conditions import Watched, watch
from edge.bench.machine.energy import EnergyMeter, NoMeter, open_meter
from edge.bench.machine.environment import environment
from edge.bench.machine.nvml import find_device
from edge.bench.machine.quiet import wait_until_quiet
from edge.bench.measure.clock import RealClock
from edge.bench.measure.task import Instruments
from edge.bench.modes import Bench, measure_in_mode
from edge.bench.plan import Plan
from edge.bench.report.document import Facts, document
from edge.bench.sessions import open_planned
from edge.bundle import Bundle
from edge.session import InferenceSession
from edge.text.progress import OnProgress

_MEASURING: Final = "measuring, "
# The step that counts seconds.
TIMED: Final = f"{_MEASURING}seconds"


@dataclass(frozen=True, slots=True)
class Tell:
    """What is told while it is measured: single lines, and the progress of steps."""

    line: Callable[[str], None]
    progress: OnProgress


def run(
    plan: Plan, bundle: Bundle, images: list[Path], scratch: Path, tell: Tell, command: list[str]
) -> dict[str, Any]:
    """The document of a measurement.

    Args:
        scratch: an empty folder on the disk whose speed is measured.
        command: the words of the command line, for the document.

    Raises:
        EdgeError: what a step raises.
    """
    require_known(plan.against)
    with ExitStack() as stack:
        tell.progress("reading images", 0, 1)
        pictures = read_pictures(images, bundle.input)
        sessions = open_planned(plan, bundle, stack, tell.line, tell.progress)
        opened = _contenders(plan, bundle, images, stack, tell)
        meter = open_meter(gpu=_is_on_gpu(sessions))
        bench = Bench(plan, bundle, pictures, sessions, opened.contenders, scratch)
        device = find_device() if _is_on_gpu(sessions) else None
        with watch(gpu=device) as watched:
            instruments = _instruments(meter, watched, plan.counted_in, tell)
            if opened.contenders:
                # Other libraries let their threads spin after a call; ours do not.
                instruments = replace(instruments, before_turn=wait_until_quiet)
            measured = measure_in_mode(bench, instruments, stack)
    facts = Facts(
        command=command,
        bundle=bundle,
        images=images,
        are_own=plan.images is not None,
        environment=environment(packages=_packages(opened)),
        conditions=watched.conditions(),
        against=[entry.to_dict() for entry in opened.entries],
        energy_source=meter.source if isinstance(meter, EnergyMeter) else None,
        notes=[f"no energy: {meter.why}"] if isinstance(meter, NoMeter) else [],
    )
    return document(measured, facts)


def _instruments(
    meter: EnergyMeter | NoMeter, watched: Watched, counted_in: str, tell: Tell
) -> Instruments:
    def on_warm_up(done: int, total: int) -> None:
        tell.progress("warming up, subjects", done, total)

    def on_progress(done: int, total: int) -> None:
        watched.look()
        tell.progress(f"{_MEASURING}{counted_in}", done, total)

    def joules() -> float | None:
        return meter.joules() if isinstance(meter, EnergyMeter) else None

    return Instruments(RealClock(), on_warm_up, on_progress, joules)


def _contenders(
    plan: Plan, bundle: Bundle, images: list[Path], stack: ExitStack, tell: Tell
) -> Opened:
    if not plan.against:
        return Opened((), ())
    opened = open_contenders(
        plan.against, bundle, images, threads=plan.threads[0], on_step=tell.line
    )
    stack.callback(opened.close)
    for entry in opened.entries:
        if not entry.ran:
            tell.line(f"{entry.subject} is not measured: {entry.why_not}")
    return opened


def _is_on_gpu(sessions: dict[int, list[InferenceSession]]) -> bool:
    return any(one.backend in LIBRARIES for group in sessions.values() for one in group)


def _packages(opened: Opened) -> tuple[str, ...]:
    names = [entry.subject.partition("-")[0] for entry in opened.entries if entry.ran]
    return tuple(dict.fromkeys(name for name in names if name in ("torch", "openvino")))
