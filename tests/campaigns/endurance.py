"""Memory, descriptors and threads of the service over very many images, as figures and a plot.

    python -m tests.campaigns.endurance backlog --images 1000000 --out FOLDER
    python -m tests.campaigns.endurance soak --images 180000 --out FOLDER

`backlog`: `edge-daemon once` drains images that are there already. `soak`: `edge-daemon run` while
they arrive, as fast as it labels them; what has its sidecar is deleted, as a site tidies its export
(180,000 images are an hour at 50 a second). Both use a network of three operators, so that
everything but the network is loaded. Exits 1 where something grew or an image lacks its outcome.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from edge.command.progress import Progress
from edge.system.installed import installed_command
from tests.support.images import colour_jpeg
from tests.support.small_bundle import write_small_bundle

# Images are written in folders of this many, as an export has one for each sample.
PER_FOLDER: Final = 200
# Growth of the median over the last quarter against the second one.
MAX_GROWTH: Final = 1.10
MAX_GROWTH_BYTES: Final = 16_000_000
_AGE_S: Final = 3600
_SAMPLE_S: Final = 1.0
_MOST_WAITING: Final = 2_000
_LABELLED: Final = "SELECT count(*) FROM image WHERE state = 'done' AND status = 'labelled'"


@dataclass(slots=True)
class Samples:
    """Once a second: seconds, images with an outcome, resident bytes, descriptors, threads."""

    pid: int
    rows: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def take(self, done: int) -> None:
        """Add a row; nothing where the process has ended."""
        proc = Path(f"/proc/{self.pid}")
        try:
            status = (proc / "status").read_text()
            descriptors = len(list((proc / "fd").iterdir()))
        except OSError:
            return
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        resident = int(values["VmRSS"].split()[0]) * 1024 if "VmRSS" in values else 0
        if resident:
            elapsed_s = time.monotonic() - self.started_s
            self.rows.append((elapsed_s, done, resident, descriptors, int(values["Threads"])))

    def quarters(self, column: int) -> tuple[float, float]:
        """Medians of the second and of the last quarter."""
        values = np.array([row[column] for row in self.rows], np.float64)
        quarter = max(len(values) // 4, 1)
        return float(np.median(values[quarter : 2 * quarter])), float(np.median(values[-quarter:]))

    def problems(self) -> list[str]:
        """What grew."""
        found = []
        for name, column, slack in (
            ("resident bytes", 2, MAX_GROWTH_BYTES),
            ("descriptors", 3, 3),
            ("threads", 4, 2),
        ):
            before, after = self.quarters(column)
            if after > before * MAX_GROWTH and after > before + slack:
                found.append(f"{name} grew from {before:.0f} to {after:.0f}")
        return found


def site(folder: Path) -> Path:
    """An export folder, a cheap bundle and a configuration; gives the configuration's path."""
    (folder / "export").mkdir(parents=True)
    (folder / "results").mkdir()
    bundle = write_small_bundle(folder / "colours.edge", colour_jpeg)
    config = {
        "bundle": str(bundle),
        "watch": [{"folder": str(folder / "export")}],
        "results": {"folder": str(folder / "results"), "formats": ["json"]},
        "settle_s": 0.1,
        "batch": {"max_images": 64},
        "state_dir": str(folder / "state"),
    }
    (folder / "edge.yaml").write_text(json.dumps(config))
    (folder / "image.jpg").write_bytes(colour_jpeg("red", side_px=40))
    return folder / "edge.yaml"


def image_path(folder: Path, number: int) -> Path:
    """Where an image of the export lies."""
    return folder / "export" / f"S{number // PER_FOLDER:06}" / f"{number:07}.jpg"


def fill(folder: Path, count: int, progress: Progress) -> None:
    """Write the backlog, an hour old."""
    content = (folder / "image.jpg").read_bytes()
    then = time.time() - _AGE_S
    for number in range(count):
        path = image_path(folder, number)
        if number % PER_FOLDER == 0:
            path.parent.mkdir()
            progress.update(number, count)
        path.write_bytes(content)
        os.utime(path, (then, then))


def done_count(folder: Path) -> int:
    """Images with a label, from the journal."""
    path = folder / "state" / "journal.sqlite3"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as db:
        try:
            return int(db.execute(_LABELLED).fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def backlog(folder: Path, count: int) -> Samples:
    """Drain `count` images that are there."""
    config = site(folder)
    with Progress("writing images", sys.stderr) as progress:
        fill(folder, count, progress)
    process = start("once", config)
    samples = Samples(process.pid)
    with Progress("labelling", sys.stderr) as progress:
        next_count_s, done = 0.0, 0
        while process.poll() is None:
            # Counting a million rows takes longer than sampling.
            if time.monotonic() >= next_count_s:
                done = done_count(folder)
                next_count_s = time.monotonic() + 10
            samples.take(done)
            progress.update(done, count)
            time.sleep(_SAMPLE_S)
    if process.returncode:
        raise SystemExit(f"edge-daemon ended with {process.returncode}")
    return samples


def soak(folder: Path, count: int) -> Samples:
    """Label `count` images while they arrive; an image goes when its sidecar is there."""
    config = site(folder)
    content = (folder / "image.jpg").read_bytes()
    process = start("run", config)
    samples = Samples(process.pid)
    written = finished = 0
    next_sample_s = 0.0
    with Progress("labelling", sys.stderr) as progress:
        while finished < count:
            while written < count and written - finished < _MOST_WAITING:
                path = image_path(folder, written)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
                written += 1
            finished = tidy(folder, finished, written)
            if time.monotonic() >= next_sample_s:
                samples.take(finished)
                progress.update(finished, count)
                next_sample_s = time.monotonic() + _SAMPLE_S
            if process.poll() is not None:
                raise SystemExit(f"edge-daemon ended with {process.returncode}")
            time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    return samples


def tidy(folder: Path, finished: int, written: int) -> int:
    """Delete images, in order, whose sidecar is there; gives the first that has none yet."""
    while finished < written:
        path = image_path(folder, finished)
        sidecar = folder / "results" / path.parent.name / f"{path.name}.json"
        if not sidecar.exists():
            break
        path.unlink()
        sidecar.unlink()
        finished += 1
        if finished % PER_FOLDER == 0:
            path.parent.rmdir()
    return finished


def start(command: str, config: Path) -> subprocess.Popen[bytes]:
    """Start the daemon."""
    return subprocess.Popen(
        [installed_command("edge-daemon"), command, "--config", str(config)],
        stdout=subprocess.DEVNULL,
    )


def plot(samples: Samples, count: int) -> str:
    """Resident memory over time as SVG."""
    width, height, left, bottom = 720, 260, 60, 36
    times = [row[0] for row in samples.rows]
    sizes = [row[2] / 1e6 for row in samples.rows]
    top = 10 * (int(max(sizes) * 1.25) // 10 + 1)
    points = " ".join(
        f"{left + t / times[-1] * (width - left - 10):.1f},"
        f"{height - bottom - s / top * (height - bottom - 30):.1f}"
        for t, s in zip(times, sizes, strict=True)
    )
    grid = "".join(
        f'<line x1="{left}" x2="{width - 10}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
        f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{value:.0f}</text>'
        for value in (0, top / 4, top / 2, 3 * top / 4, top)
        for y in [height - bottom - value / top * (height - bottom - 30)]
    )
    ticks = "".join(
        f'<text x="{left + share * (width - left - 10):.0f}" y="{height - bottom + 18}" '
        f'text-anchor="middle">{share * times[-1]:.0f}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" fill="#333">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="{left}" y="18">resident memory, MB, over {count:,} images</text>'
        f'{grid}{ticks}<polyline points="{points}" fill="none" stroke="#1f6feb" '
        f'stroke-width="1.5"/><text x="{width - 10}" y="{height - 4}" text-anchor="end">'
        "seconds</text></svg>\n"
    )


def report(name: str, samples: Samples, done: int, count: int) -> list[str]:
    """Figures for a person; gives the problems."""
    seconds = samples.rows[-1][0]
    problems = samples.problems()
    if done != count:
        problems.append(f"{done} of {count} images have a label")
    lines = [f"{name}: {done:,} of {count:,} images in {seconds:.0f} s, {done / seconds:.0f}/s"]
    for title, column, scale in (
        ("resident MB", 2, 1e6),
        ("descriptors", 3, 1),
        ("threads", 4, 1),
    ):
        before, after = samples.quarters(column)
        peak = max(row[column] for row in samples.rows)
        lines.append(
            f"{title:13}{before / scale:9.1f} second quarter {after / scale:9.1f} last quarter "
            f"{peak / scale:9.1f} peak"
        )
    sys.stdout.write("\n".join([*lines, *(f"PROBLEM {p}" for p in problems), ""]))
    return problems


def main() -> int:
    """Run one of the two; 1 where something grew or was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds: dict[str, Callable[[Path, int], Samples]] = {"backlog": backlog, "soak": soak}
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="gets NAME.json and NAME.svg")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="edge-endurance-", dir=arguments.out))
    try:
        samples = kinds[arguments.kind](folder, arguments.images)
        done = done_count(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    (arguments.out / f"{arguments.kind}.json").write_text(json.dumps(samples.rows))
    (arguments.out / f"{arguments.kind}.svg").write_text(plot(samples, arguments.images))
    return 1 if report(arguments.kind, samples, done, arguments.images) else 0


if __name__ == "__main__":
    sys.exit(main())
