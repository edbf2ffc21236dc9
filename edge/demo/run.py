"""The demonstration's steps: the real commands as processes, and what their sidecars say.

The commands are started as a person starts them; nothing here reaches into them.
"""

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

# About what two analyzers give; fast enough to watch.
EXPORT_PAUSE_S: Final = 0.05
# Twice the settle time and a rescan, for images that no event announced.
LABEL_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 15.0
SETTLE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one demonstration."""

    root: Path

    @property
    def bundle(self) -> Path:
        """The converted model."""
        return self.root / "cells8.edge"

    @property
    def export(self) -> Path:
        """Where the simulated analyzer writes."""
        return self.root / "export"

    @property
    def config(self) -> Path:
        """The daemon's configuration."""
        return self.root / "edge.yaml"

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.root / "edge-daemon.log"


@dataclass(frozen=True, slots=True)
class LabelledExport:
    """An exported image with its sidecar, None where none appeared, and the time it took."""

    exported: ExportedImage
    sidecar: dict[str, Any] | None
    waited_s: float


def convert(model: Path, workspace: Workspace) -> None:
    """Run `edge-convert MODEL --int8`; its progress and report go to the person.

    Raises:
        BackendError: it failed; it has said why. A bundle that runs in FP32 is no failure.
    """
    argv = [installed_command("edge-convert"), str(model), "--int8", "--out", str(workspace.bundle)]
    child = subprocess.Popen(argv, env=with_this_parent())
    try:
        exit_code = child.wait()
    except KeyboardInterrupt:
        # Ctrl-C reached the child too, SIGTERM did not. It takes its scratch files away if it is
        # given the time.
        child.terminate()
        _await_end(child)
        raise
    if exit_code not in (0, WITHOUT_INT8):
        raise BackendError("edge-convert failed; its message stands above.")


def write_config(workspace: Workspace) -> None:
    """A configuration that watches the export folder; sidecars appear beside the images."""
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
    """`edge-daemon run` for the length of the block, stopped with SIGTERM."""
    argv = [installed_command("edge-daemon"), "run", "--config", str(workspace.config)]
    with workspace.log.open("wb") as log:
        daemon = subprocess.Popen(
            argv, stdout=log, stderr=subprocess.STDOUT, env=with_this_parent()
        )
        try:
            yield daemon
        finally:
            daemon.send_signal(signal.SIGTERM)
            _await_end(daemon)


def _await_end(process: subprocess.Popen[bytes]) -> None:
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
    for image in export_images(images, workspace.export, seed=seed, pause_s=EXPORT_PAUSE_S):
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
    """How often a class (`own images` where it is not known) got a label or a status."""
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
        said = last_lines[0] if last_lines else "nothing"
        raise BackendError(f"edge-daemon ended with code {daemon.returncode}; it said: {said}")


def _age_ms(sidecar: dict[str, Any]) -> float:
    created = datetime.fromisoformat(sidecar["created"])
    modified = datetime.fromisoformat(sidecar["image"]["modified"])
    return (created - modified).total_seconds() * 1e3
