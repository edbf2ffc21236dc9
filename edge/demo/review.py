"""The demonstration's last step: the review page on its slide, and a sender for what is signed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from edge.demo.drawing.cells import CLASSES, draw_cell, encode_jpeg
from edge.demo.run import Workspace, await_end
from edge.files import atomic
from edge.system.children import with_this_parent
from edge.system.installed import installed_command

# Of each class, to compare with.
_REFERENCES: Final = 6
_REFERENCE_SEED: Final = 77


def newest_workspace(out: Path) -> Workspace | None:
    """The last demonstration that labelled images; None if there is none.

    Args:
        out: folder of all demonstrations, whose names are their times.
    """
    if not out.is_dir():
        return None
    for folder in sorted(out.iterdir(), reverse=True):
        workspace = Workspace(folder.resolve())
        if next(workspace.export.rglob("*.json"), None) and workspace.bundle.is_dir():
            return workspace
    return None


def write_results_config(workspace: Workspace) -> Path:
    """Write what `edge-results send` and `edge-results review` read; returns the file.

    Raises:
        StorageError: it cannot be written.
    """
    drop = workspace.root / "signed"
    atomic.make_folder(drop)
    values = {
        "state_dir": str(workspace.root / "results"),
        "sidecars": {"folder": str(workspace.export)},
        "slides": {
            "quiet_s": 0,
            "verifications": str(workspace.root / "verifications"),
            "bundles": [str(workspace.bundle)],
            "several_per_sample": True,
        },
        "targets": [{"name": "lis", "format": "generic", "drop": str(drop)}],
        "review": {"port": 0, "reference": str(_write_references(workspace))},
        "poll_s": 1,
    }
    path = workspace.root / "results.yaml"
    heading = (
        "# Written by the demonstration; docs/sending.md and docs/review.md describe the keys.\n"
    )
    # JSON is YAML as well.
    atomic.write_file(path, f"{heading}{json.dumps(values, indent=1)}\n".encode())
    return path


@contextmanager
def running_sender(config: Path, log: Path) -> Iterator[None]:
    """Run `edge-results send --watch` during the block: it issues what is signed on the page."""
    argv = [installed_command("edge-results"), "send", "--config", str(config), "--watch"]
    with log.open("wb") as output:
        sender = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, env=with_this_parent()
        )
        try:
            yield
        finally:
            sender.terminate()
            await_end(sender)


def run_page(config: Path, *options: str) -> int:
    """Run `edge-results review` until a person ends it; returns its exit code."""
    argv = [installed_command("edge-results"), "review", "--config", str(config), *options]
    page = subprocess.Popen(argv, env=with_this_parent())
    try:
        return page.wait()
    except KeyboardInterrupt:
        # Ctrl-C reaches the page too, SIGTERM does not.
        page.terminate()
        await_end(page)
        return page.returncode


def _write_references(workspace: Workspace) -> Path:
    """Drawn cells of each class in folders named by class."""
    folder = workspace.root / "reference"
    for number, name in enumerate(CLASSES):
        atomic.make_folder(folder / name)
        for one in range(_REFERENCES):
            rng = np.random.default_rng([_REFERENCE_SEED, number, one])
            atomic.write_file(folder / name / f"{one + 1}.jpg", encode_jpeg(draw_cell(name, rng)))
    return folder
