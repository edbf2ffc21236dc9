"""Steps: the daemon as a service on the GPU, killed in its work, and with a lost CUDA context."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from edge.backends.interleave import Latencies
from edge.bench.levels.daemon import DaemonStart
from edge.bench.levels.file import file_level, sidecar_stages
from edge.bench.measure.amount import Amount
from edge.bench.measure.arrivals import Arrivals, Server, measure_arrivals
from edge.bench.measure.clock import RealClock
from edge.bench.measure.task import Instruments
from edge.bench.measure.warm_up import warm_up
from edge.errors import EdgeError
from edge.system.workers import default_workers
from tests.gpu.setting import ROOT, Found, Setting, SkippedError, draw
from tests.gpu.steps.endurance import DRAWN, examine, export_copies, run_once
from tests.gpu.steps.engines import is_real

COMMAND: Final = (sys.executable, "-m", "tests.gpu.daemon_child")
STREAM_PER_S: Final = 50.0
STREAM_COUNT: Final = 500
# Kills at different stages of the work: with the first sidecars there, and later.
KILL_AT: Final = (1, 200, 900)
KILL_IMAGES: Final = 3000
_LIMIT_S: Final = 120.0


def stream(setting: Setting) -> Found:
    """From the close of a file to its durable sidecar through `edge-daemon run`, one by one."""
    _require_real(setting)
    folder = setting.work / "stream"
    shutil.copytree(setting.engines, folder / "state" / "engines")
    clock, start = RealClock(), DaemonStart(COMMAND, {"backend": setting.library.name})
    with file_level(setting.bundle, setting.cells()[0], folder, start, clock) as service:
        amount = Amount(samples=STREAM_COUNT)
        warmth, _ = warm_up(service.one_by_one, clock, amount.warm_up_s)
        server = Server("daemon", "file", service, warmth, default_workers(), stages=sidecar_stages)
        arrivals = Arrivals("open_loop_constant", STREAM_PER_S)
        measured = measure_arrivals([server], arrivals, amount, Instruments(clock))
    (series,) = measured.series
    stages = series.stages_ns
    model_ns = stages["decode"] + stages["preprocess"] + stages["infer"]
    figures = {
        "close to sidecar": Latencies(series.durations_ns / 1e6).to_dict(),
        "model": Latencies(model_ns / 1e6).to_dict(),
        "per_second": STREAM_PER_S,
    }
    lines = [f"{n}: p50 {v['p50_ms']:.2f} ms" for n, v in figures.items() if isinstance(v, dict)]
    return Found(figures, tuple(lines))


def killed(setting: Setting) -> Found:
    """`edge-daemon once` killed in its work a few times, then run to its end."""
    _require_real(setting)
    folder, count = setting.work / "killed", min(KILL_IMAGES, setting.sizes.images)
    export = folder / "export"
    export_copies(draw(setting.work / "drawn", min(DRAWN, count)), export, count)
    config = _config(setting, folder, export)
    with setting.sessions() as sessions:
        watched = next(iter(sessions.values()))
        before_bytes = watched.used_bytes()
        seen = [_kill_at(config, export, sidecars) for sidecars in KILL_AT]
        time.sleep(1)
        kept_bytes = watched.used_bytes() - before_bytes
    outcome_counts = run_once(config)
    found = examine(export, count, setting.library.name, outcome_counts)
    figures = {"images": count, "sidecars_at_kill": seen, "gpu_bytes_kept": kept_bytes, **found}
    shutil.rmtree(folder)
    line = f"killed with {seen} sidecars of {count}; GPU memory kept afterwards {kept_bytes} bytes"
    return Found(figures, (line,), found["problem"])


def lost_context(setting: Setting) -> Found:
    """A kernel that traps breaks the process's context; the CPU takes over, a new process returns.

    In a process of its own, which may die of it.
    """
    _require_real(setting)
    folder = setting.work / "lost"
    config = _config(setting, folder, folder / "export", backend="auto")
    images = folder / "images"
    draw(images, 20)
    (folder / "export").mkdir()
    command = [sys.executable, "-m", "tests.gpu.steps.lost_context", str(config), str(images)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=_LIMIT_S
    )
    figures = {"exit_code": done.returncode, **_answer(done.stdout)}
    lines = tuple(f"{name}: {value}" for name, value in figures.items())
    problem = None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        problem = f"the process ended with {done.returncode}: {last}"
    elif not figures.get("is_right"):
        problem = "images are missing, wrong, or not labelled as expected"
    return Found(figures, lines, problem)


def _require_real(setting: Setting) -> None:
    setting.require_engine()
    if not is_real(setting.library):
        raise SkippedError("another process does not see the stand-in for a GPU")


def _config(setting: Setting, folder: Path, export: Path, backend: str | None = None) -> Path:
    state = folder / "state"
    shutil.copytree(setting.engines, state / "engines")
    settings = {
        "bundle": str(setting.bundle.root.resolve()),
        "backend": backend or setting.library.name,
        "watch": [{"folder": str(export)}],
        "state_dir": str(state),
    }
    path = folder / "edge.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(settings))
    return path


def _kill_at(config: Path, export: Path, sidecars: int) -> int:
    """Kill the daemon once so many sidecars are there; returns how many there were."""
    process = subprocess.Popen(
        [*COMMAND, "once", "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    end_s = time.monotonic() + _LIMIT_S
    while (found := sum(1 for _ in export.glob("*.json"))) < sidecars:
        if process.poll() is not None or time.monotonic() > end_s:
            process.kill()
            raise EdgeError(f"edge-daemon ended with {process.wait()} before it could be killed")
        time.sleep(0.005)
    process.kill()
    process.wait()
    return found


def _answer(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return found
