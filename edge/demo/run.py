"""The steps of the demonstration: runs the real commands as processes and reads the sidecars."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.demo.analyzer import ExportedImage, export_images
from edge.errors import WITHOUT_INT8, BackendError
from edge.files import atomic
from edge.sidecar import sidecar_path
from edge.system.children import with_this_parent
from edge.system.installed import installed_command

# About the rate of two analyzers.
EXPORT_PAUSE_S: Final = 0.05
# What is counted for a differential.
IMAGES_PER_SLIDE: Final = 200
# Enough for an image that no inotify event announced: twice the settle time plus a rescan.
LABEL_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 15.0
SETTLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one demonstration."""

    root: Path

    @property
    def bundle(self) -> Path:
        """The folder of the converted model."""
        return self.root / "cells8.edge"

    @property
    def export(self) -> Path:
        """The folder that the simulated analyzer writes to."""
        return self.root / "export"

    @property
    def config(self) -> Path:
        """The daemon's configuration file."""
        return self.root / "edge.yaml"

    @property
    def lis(self) -> Path:
        """The folder of a slide's files for a LIS."""
        return self.root / "lis"

    @property
    def log(self) -> Path:
        """The daemon's log file."""
        return self.root / "edge-daemon.log"


@dataclass(frozen=True, slots=True)
class LabelledExport:
    """An exported image, its sidecar (None if none appeared), and the time until it appeared."""

    exported: ExportedImage
    sidecar: dict[str, Any] | None
    waited_s: float


def convert(model: Path, workspace: Workspace) -> None:
    """Run `edge-convert MODEL --int8`, which prints its own progress and report.

    Raises:
        BackendError: it failed. A bundle without INT8 (exit code 7) is no failure.
    """
    argv = [installed_command("edge-convert"), str(model), "--int8", "--out", str(workspace.bundle)]
    child = subprocess.Popen(argv, env=with_this_parent())
    try:
        exit_code = child.wait()
    except KeyboardInterrupt:
        # Ctrl-C reaches the child too, but SIGTERM does not. The child needs some time to remove
        # its scratch files.
        child.terminate()
        await_end(child)
        raise
    if exit_code not in (0, WITHOUT_INT8):
        raise BackendError("edge-convert failed; its error message is above.")


def write_config(workspace: Workspace) -> None:
    """Write a configuration that watches the export folder; sidecars appear beside the images."""
    atomic.make_folder(workspace.export)
    text = f"""\
# Written by the demonstration; docs/daemon/configure.md describes every key.
bundle: {json.dumps(str(workspace.bundle))}
watch:
  - folder: {json.dumps(str(workspace.export))}
    sample: "{{sample_id}}/{{slide_id}}/*"
settle_s: {SETTLE_S}
rescan_s: 5
state_dir: {json.dumps(str(workspace.root / "state"))}
"""
    atomic.write_file(workspace.config, text.encode())


@contextmanager
def running_daemon(workspace: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    """Run `edge-daemon run` during the block, then stop it with SIGTERM."""
    argv = [installed_command("edge-daemon"), "run", "--config", str(workspace.config)]
    with workspace.log.open("wb") as log:
        daemon = subprocess.Popen(
            argv, stdout=log, stderr=subprocess.STDOUT, env=with_this_parent()
        )
        try:
            yield daemon
        finally:
            daemon.send_signal(signal.SIGTERM)
            await_end(daemon)


def await_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to stop, and kill it if it does not."""
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def export_and_follow(
    images: Iterable[tuple[str | None, bytes]],
    total: int | None,
    workspace: Workspace,
    daemon: subprocess.Popen[bytes],
    *,
    seed: int,
    on_labelled: Callable[[int, int | None], None],
) -> list[LabelledExport]:
    """Export images and wait for the sidecar of each.

    Args:
        on_labelled: called with (labelled, total); the total is None where it is not known yet.

    Raises:
        BackendError: the daemon ended by itself.
    """
    waiting: dict[Path, tuple[ExportedImage, float]] = {}
    finished: list[LabelledExport] = []
    exported = 0
    for image in export_images(
        images,
        workspace.export,
        seed=seed,
        images_per_slide=IMAGES_PER_SLIDE,
        pause_s=EXPORT_PAUSE_S,
    ):
        exported += 1
        waiting[sidecar_path(image.path, "json")] = (image, time.monotonic())
        finished += _collect(waiting)
        on_labelled(len(finished), total)
        _require_running(daemon, workspace)
    deadline = time.monotonic() + LABEL_TIMEOUT_S
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        finished += _collect(waiting)
        on_labelled(len(finished), exported)
        _require_running(daemon, workspace)
    missed = [LabelledExport(image, None, LABEL_TIMEOUT_S) for image, _ in waiting.values()]
    return finished + missed


def latencies_ms(labelled: list[LabelledExport]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Milliseconds in the labeller, and from the end of the export to the sidecar's creation."""
    sidecars = [one.sidecar for one in labelled if one.sidecar is not None]
    return {
        "decode, preprocess, infer": np.array([s["timing_ms"]["total"] for s in sidecars]),
        "file written to labelled": np.array(
            [_age_ms(s) for s in sidecars if s["image"]["modified"]]
        ),
    }


def label_counts(labelled: list[LabelledExport]) -> Counter[tuple[str, str]]:
    """Counts by class (`own images` if not known) and label (or status if there is none)."""
    return Counter(
        (
            one.exported.cell_class or "own images",
            (one.sidecar["label"] or one.sidecar["status"]) if one.sidecar else "no sidecar",
        )
        for one in labelled
    )


def _collect(waiting: dict[Path, tuple[ExportedImage, float]]) -> list[LabelledExport]:
    found = []
    for path in [path for path in waiting if path.exists()]:
        image, since = waiting.pop(path)
        sidecar = json.loads(path.read_bytes())
        found.append(LabelledExport(image, sidecar, time.monotonic() - since))
    return found


def _require_running(daemon: subprocess.Popen[bytes], workspace: Workspace) -> None:
    if daemon.poll() is not None:
        last_lines = workspace.log.read_text("utf-8", "replace").strip().splitlines()[-1:]
        last = last_lines[0] if last_lines else "(empty)"
        raise BackendError(
            f"edge-daemon ended with exit code {daemon.returncode}; last line of its log: {last}"
        )


def _age_ms(sidecar: dict[str, Any]) -> float:
    created = datetime.fromisoformat(sidecar["created"])
    modified = datetime.fromisoformat(sidecar["image"]["modified"])
    return (created - modified).total_seconds() * 1e3
