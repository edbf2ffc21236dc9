"""Steps: many images through the daemon, and the GPU's memory over many calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from daemon.system.folder_locks import LOCK_NAME
from edge.errors import EdgeError
from tests.gpu.setting import ROOT, Found, Setting, draw

DRAWN: Final = 200
# Older than any settle time: the daemon need not wait for these files.
_AGE_S: Final = 3600
_TIMEOUT_S: Final = 300
_BACKLOG_BATCH: Final = 64
# Drivers hand out memory in pages of 2 MiB.
_PAGE_BYTES: Final = 2 << 20
_SAMPLES: Final = 20


def throughput(setting: Setting) -> Found:
    """Files to durable JSON and CSV by `edge-daemon once`, as it comes and with more workers."""
    setting.require_engine()
    wider = {
        "workers": min(16, len(os.sched_getaffinity(0))),
        "batch": {"max_images": _BACKLOG_BATCH},
    }
    runs: list[dict[str, Any]] = []
    for settings in ({}, wider):
        runs.append(_run(setting, settings))
        setting.on_partial({"runs": runs})
    lines = [
        f"{run['images_per_second']:.0f} images/s with {run['settings'] or 'default settings'}"
        for run in runs
    ]
    problems = [run["problem"] for run in runs if run["problem"]]
    return Found({"runs": runs}, tuple(lines), problems[0] if problems else None)


def memory(setting: Setting) -> Found:
    """Used memory of the GPU over many calls of changing batch size, after a warm-up."""
    spec = setting.bundle.input
    images = np.zeros((16, spec.height, spec.width, 3), np.uint8)
    figures: dict[str, Any] = {}
    with setting.sessions() as sessions:
        for precision, session in sessions.items():
            every = max(1, setting.sizes.calls // _SAMPLES)
            samples = []
            for number in range(setting.sizes.calls + every):
                session.infer(images[: number % len(images) + 1])
                if number >= every and number % every == 0:
                    samples.append(session.used_bytes())
            figures[precision] = {
                "calls": setting.sizes.calls,
                "first_bytes": samples[0],
                "last_bytes": samples[-1],
                "largest_bytes": max(samples),
            }
    grown = {p: f["last_bytes"] - f["first_bytes"] for p, f in figures.items()}
    lines = [
        f"{p}: grew by {bytes_} bytes in {setting.sizes.calls} calls" for p, bytes_ in grown.items()
    ]
    worse = [p for p, bytes_ in grown.items() if bytes_ > _PAGE_BYTES]
    return Found(figures, tuple(lines), f"memory grew with {worse[0]}" if worse else None)


def _run(setting: Setting, settings: dict[str, Any]) -> dict[str, Any]:
    folder = setting.work / "service"
    export = folder / "export"
    shutil.copytree(setting.engines, folder / "state" / "engines")
    export_copies(
        draw(setting.work / "drawn", min(DRAWN, setting.sizes.images)), export, setting.sizes.images
    )
    config = {
        "bundle": str(setting.bundle.root.resolve()),
        "backend": setting.library.name,
        "watch": [{"folder": str(export)}],
        "state_dir": str(folder / "state"),
        **settings,
    }
    path = folder / "edge.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(config))
    start = time.monotonic()
    outcome_counts = run_once(path)
    run = {
        "settings": settings,
        "images": setting.sizes.images,
        "images_per_second": outcome_counts["images_per_second"],
        "wall_s": round(time.monotonic() - start, 2),
        **examine(export, setting.sizes.images, setting.library.name, outcome_counts),
    }
    shutil.rmtree(folder)
    return run


def run_once(config: Path) -> dict[str, float]:
    """What `edge-daemon once --json` reports, in a process of its own.

    Raises:
        EdgeError: it failed; with its last line.
    """
    argv = [sys.executable, "-m", "tests.gpu.daemon_child", "once", "--config", str(config)]
    done = subprocess.run(
        [*argv, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=_TIMEOUT_S,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise EdgeError(f"edge-daemon ended with {done.returncode}: {said[0]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def export_copies(sources: list[Path], export: Path, count: int) -> None:
    """Fill an export folder with `count` images, old enough to be labelled at once."""
    export.mkdir(parents=True)
    then = time.time() - _AGE_S
    for number in range(count):
        copy = export / f"{number:06}.jpg"
        shutil.copyfile(sources[number % len(sources)], copy)
        os.utime(copy, (then, then))


def examine(
    export: Path, count: int, library: str, outcome_counts: dict[str, float]
) -> dict[str, Any]:
    """Whether each of `count` images has one JSON and one CSV, and who labelled it."""
    names = {f"{number:06}.jpg" for number in range(count)}
    expected = {f"{name}{suffix}" for name in names for suffix in ("", ".json", ".csv")}
    # A killed daemon's lock file stays.
    found = {path.name for path in export.iterdir()} - {LOCK_NAME}
    wrong = len(expected ^ found)
    sidecars = [json.loads(path.read_bytes()) for path in sorted(export.glob("*.json"))]
    models = {(s["model"]["backend"], s["model"]["precision"]) for s in sidecars}
    problem = None
    if wrong:
        problem = f"{wrong} files are missing or too many"
    elif outcome_counts["rejected"] or {backend for backend, _ in models} != {library}:
        problem = f"{outcome_counts['rejected']:.0f} images rejected; labelled by {sorted(models)}"
    return {"labelled_by": [" ".join(m) for m in sorted(models)], "problem": problem}
