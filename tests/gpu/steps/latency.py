"""Steps: the four levels of latency, and batch sizes at engine level.

engine  launch and wait, nothing is copied
call    host array to host array, as `InferenceSession.infer`
image   a file in memory to its label: read, decode, preprocess, infer, decide
file    a file on the disk to its durable JSON and CSV sidecars
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.backends.interleave import interleave
from edge.backends.trt.session import Execution, TensorRtSession
from edge.bundle import Bundle
from edge.golden import open_labeller
from edge.image_files.read import read_image
from edge.labeller import Labeller
from edge.preprocess import preprocess
from edge.sidecar import (
    FORMATS,
    Origin,
    model_facts,
    now,
    sidecar_fields,
    sidecar_files,
    write_sidecars,
)
from edge.text.printable import printable_name
from tests.gpu.setting import Found, Setting

SWEEP: Final = (1, 2, 4, 8, 16, 32, 64)
LEVELS: Final = ("engine", "call", "image", "file")
# A file system in memory on Linux.
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a private folder is made in it

Timed = Callable[[int], object]


@contextmanager
def engine_runs(
    bundle: Bundle, sessions: Mapping[str, TensorRtSession], size: int
) -> Iterator[dict[str, Execution]]:
    """The engine alone of each session, by precision, for a batch of blank images."""
    spec = bundle.input
    blank = np.zeros((size, spec.height, spec.width, 3), np.uint8)
    with ExitStack() as stack:
        runs = {}
        for precision, session in sessions.items():
            runs[precision] = session.bind(blank)
            stack.callback(runs[precision].close)
        yield runs


def timed(run: Execution) -> Timed:
    """For `interleave`."""
    return lambda _number: run.run()


def levels(setting: Setting) -> Found:
    """All four levels of both precisions, one image at a time, in turn within one run."""
    paths, source = setting.cells()
    with ExitStack() as stack:
        sessions = stack.enter_context(setting.sessions())
        runs = stack.enter_context(engine_runs(setting.bundle, sessions, 1))
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_memory_folder())))
        copies = [Path(shutil.copyfile(path, memory / path.name)) for path in paths]
        functions: dict[str, Timed] = {}
        for precision, session in sessions.items():
            output = setting.work / f"sidecars-{precision}"
            output.mkdir(exist_ok=True)
            functions[f"engine {precision}"] = timed(runs[precision])
            functions |= _host_levels(setting.bundle, session, paths, copies, output)
        found = interleave(functions, setting.sizes.rounds)
        has_graphs = {precision: run.has_graph for precision, run in runs.items()}
    figures = {name: latencies.to_dict() for name, latencies in found.items()}
    lines = [f"{n:12} p50 {v['p50_ms']:.3f}  p99 {v['p99_ms']:.3f} ms" for n, v in figures.items()]
    facts = {"images": source, "engine_has_graph": has_graphs, "rounds": setting.sizes.rounds}
    return Found({"latencies": figures, **facts}, tuple(lines))


def sweep(setting: Setting) -> Found:
    """INT8 against FP16 at engine level for growing batches."""
    figures: dict[str, Any] = {}
    with setting.sessions() as sessions:
        largest = min(session.max_batch for session in sessions.values())
        for size in (size for size in SWEEP if size <= largest):
            with engine_runs(setting.bundle, sessions, size) as runs:
                found = interleave({p: timed(r) for p, r in runs.items()}, setting.sizes.rounds)
            medians = {precision: latencies.median for precision, latencies in found.items()}
            figures[str(size)] = {p: latencies.to_dict() for p, latencies in found.items()}
            if {"int8", "fp16"} <= set(medians):
                figures[str(size)]["ratio"] = round(medians["int8"] / medians["fp16"], 4)
            setting.on_partial(figures)
    lines = [
        f"batch {size:>2}: " + ", ".join(f"{name} {_brief(v)}" for name, v in by.items())
        for size, by in figures.items()
    ]
    return Found(figures, tuple(lines))


def _host_levels(
    bundle: Bundle,
    session: TensorRtSession,
    paths: list[Path],
    copies: list[Path],
    output: Path,
) -> dict[str, Timed]:
    prepared = [preprocess(read_image(path), bundle.input)[np.newaxis] for path in paths]
    labeller = open_labeller(bundle, session)
    write = _file_level(bundle, labeller, output)
    return {
        f"call {session.precision}": lambda i: session.infer(prepared[i % len(prepared)]),
        f"image {session.precision}": lambda i: labeller.label(copies[i % len(copies)]),
        f"file {session.precision}": lambda i: write(paths[i % len(paths)]),
    }


def _file_level(bundle: Bundle, labeller: Labeller, output: Path) -> Callable[[Path], None]:
    model = model_facts(bundle, labeller.session)

    def label_and_write(path: Path) -> None:
        outcome, origin = labeller.label(path), Origin(printable_name(path))
        fields = sidecar_fields(outcome, origin, model, host="gpu-check", created=now())
        write_sidecars(sidecar_files(output / path.name, fields, bundle.classes, FORMATS))

    return label_and_write


def _memory_folder() -> Path | None:
    return _MEMORY if _MEMORY.is_dir() else None


def _brief(value: Any) -> str:
    return f"{value['p50_ms']:.3f} ms" if isinstance(value, dict) else f"{value:.3f}"
