"""Compares the whole service with a plain loop on the same session settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from edge.backends.opening import Opening
from edge.backends.select import open_session
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.files import atomic
from edge.golden import open_labeller
from edge.image_files.read import read_named_image
from edge.preprocess import preprocess
from edge.system.children import with_this_parent
from edge.system.installed import installed_command
from edge.text.progress import OnCount

ROUNDS: Final = 5
# Older than any settle time: the daemon need not wait for these files.
_AGE_S: Final = 3600


@dataclass(frozen=True, slots=True)
class ServiceResults:
    """Images per second in each round; the two rates of a round were measured in turn."""

    images: int
    bare_per_second: list[float]
    daemon_per_second: list[float]

    @property
    def ratio(self) -> float:
        """Median over the rounds of the daemon's rate divided by the bare loop's."""
        pairs = zip(self.daemon_per_second, self.bare_per_second, strict=True)
        return median(daemon / bare for daemon, bare in pairs)


def measure_service(
    bundle: Bundle,
    images: list[Path],
    folder: Path,
    *,
    threads: int,
    rounds: int = ROUNDS,
    on_round: OnCount,
) -> ServiceResults:
    """Alternate a plain decode-and-infer loop with `edge-daemon once` on a new copy of `images`.

    The daemon's rate excludes its start (loading, golden images) and includes everything after it:
    scan, journal, labelling, durable JSON and CSV sidecars.

    Raises:
        EdgeError: the daemon failed.
    """
    bare: list[float] = []
    daemon: list[float] = []
    for round_ in range(rounds):
        bare.append(bare_rate(bundle, images, threads=threads))
        daemon.append(daemon_rate(bundle, images, folder / str(round_), threads=threads))
        shutil.rmtree(folder / str(round_))
        on_round(round_ + 1, rounds)
    return ServiceResults(len(images), bare, daemon)


def bare_rate(bundle: Bundle, images: list[Path], *, threads: int) -> float:
    """Images per second of read, decode, preprocess and infer, one after the other."""
    session = open_session(bundle, opening=Opening(threads=threads))
    open_labeller(bundle, session)  # the golden images warm the session up
    start = time.perf_counter()
    for path in images:
        session.infer(preprocess(read_named_image(path), bundle.input)[np.newaxis])
    rate = len(images) / (time.perf_counter() - start)
    session.close()
    return rate


def daemon_rate(bundle: Bundle, images: list[Path], folder: Path, *, threads: int) -> float:
    """Images per second that `edge-daemon once` reports."""
    config = _prepare(bundle, images, folder, threads=threads)
    argv = [installed_command("edge-daemon"), "once", "--config", str(config), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=with_this_parent())
    if done.returncode != 0:
        raise EdgeError(f"edge-daemon failed: {done.stderr.strip().splitlines()[-1:]}")
    return float(json.loads(done.stdout)["images_per_second"])


def _prepare(bundle: Bundle, images: list[Path], folder: Path, *, threads: int) -> Path:
    export = folder / "export"
    export.mkdir(parents=True)
    then = time.time() - _AGE_S
    for number, path in enumerate(images):
        copy = export / f"{number:06}{path.suffix.lower()}"
        shutil.copyfile(path, copy)
        os.utime(copy, (then, then))
    config = {
        "bundle": str(bundle.root.resolve()),
        "threads": threads,
        "watch": [{"folder": str(export.resolve())}],
        "state_dir": str((folder / "state").resolve()),
    }
    # JSON is YAML.
    atomic.write_file(folder / "edge.yaml", json.dumps(config).encode())
    return folder / "edge.yaml"
