"""File, offline: `edge-daemon once`, and the plain loop that it is compared with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.bench.levels.daemon import DaemonStart, write_config
from edge.bench.measure.passes import Pass
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.files.atomic import storage_errors
from edge.image_files.read import read_named_image
from edge.preprocess import preprocess
from edge.session import InferenceSession
from edge.system.children import with_this_parent

BARE_LOOP: Final = "bare loop"
NOTE: Final = (
    "file level, offline: edge-daemon once with durable JSON and CSV sidecars, from its first "
    "image to its last; its start is not counted. The bare loop reads, decodes, preprocesses and "
    "infers in as many threads as the daemon has workers, and writes nothing"
)
# Older than any settle time: the daemon need not wait for these files.
_AGE_S: Final = 3600
# A pass over fewer images takes no longer than a disturbance of the machine.
LEAST_IMAGES: Final = 500
# So many more for each second of the plan: at 500 images/s seven rounds of both sides take about
# as long as planned.
_IMAGES_PER_S: Final = 40


@dataclass(frozen=True, slots=True)
class Once:
    """What both sides label, and with how many workers.

    Attributes:
        session: what the bare loop infers with.
        start: how the daemon is started; its settings have the session's precision.
    """

    bundle: Bundle
    session: InferenceSession
    images: list[Path]
    folder: Path
    workers: int
    threads: int
    start: DaemonStart

    def passes(self) -> list[Pass]:
        """The bare loop, then the daemon."""
        size, workers, threads = len(self.images), self.workers, self.threads
        precision = self.session.precision
        return [
            Pass(BARE_LOOP, "image", self.bare_s, size, workers, threads),
            Pass(precision, "file", self.daemon_s, size, workers, threads),
        ]

    def bare_s(self) -> float:
        """Seconds in which `workers` threads read, decode, preprocess and infer all images."""
        spec = self.bundle.input

        def label(path: Path) -> None:
            self.session.infer(preprocess(read_named_image(path), spec)[np.newaxis])

        return loop_s(label, self.images, self.workers)

    def daemon_s(self) -> float:
        """Seconds that `edge-daemon once` reports for a new copy of all images.

        Raises:
            EdgeError: it failed, or did not label all of them.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        export_copies(self.images, self.folder / "export")
        settings = {"workers": self.workers, "threads": self.threads, **self.start.settings}
        config = write_config(self.folder, self.bundle, settings)
        found = run_once([*self.start.words, "once", "--config", str(config), "--json"])
        if found["rejected"] or found["left"]:
            raise EdgeError(
                f"edge-daemon once rejected {found['rejected']} images and left {found['left']}. "
                "Give images that decode."
            )
        return float(found["seconds"])


def loop_s(label: Callable[[Path], object], images: list[Path], workers: int) -> float:
    """Seconds in which `workers` threads label all images, each taking the next one."""
    numbers = count()

    def work() -> None:
        while (number := next(numbers)) < len(images):
            label(images[number])

    before = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()
    return time.perf_counter() - before


def run_once(words: list[str]) -> dict[str, Any]:
    """What `edge-daemon once --json` reports.

    Raises:
        EdgeError: it failed.
    """
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=with_this_parent()
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise EdgeError(f"edge-daemon once ended with exit code {done.returncode}: {said}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def enough(images: list[Path], seconds: float | None) -> list[Path]:
    """Images of a pass: at least 500, and of many, evenly, what a plan has the time for.

    Args:
        images: the images there are, which are taken again and again where they are few.
        seconds: of the plan; None if it counts samples, so that all images are taken.
    """
    if len(images) < LEAST_IMAGES:
        return images * -(-LEAST_IMAGES // len(images))
    most = len(images) if seconds is None else max(LEAST_IMAGES, int(_IMAGES_PER_S * seconds))
    if len(images) <= most:
        return images
    return [images[number * len(images) // most] for number in range(most)]


def export_copies(images: list[Path], export: Path) -> None:
    """Fill an export folder with copies, old enough to be labelled at once."""
    export.mkdir(parents=True)
    then = time.time() - _AGE_S
    for number, path in enumerate(images):
        copy = export / f"{number:06}{path.suffix.lower()}"
        with storage_errors("write", copy):
            shutil.copyfile(path, copy)
            os.utime(copy, (then, then))
