"""How long `read_sidecars` and the table take for many sidecars, and how much memory.

    python -m tests.campaigns.read_speed [--cells 100000] [--per-folder 200] [--runs 3] \
        [--output DIR]

Each measurement is a process of its own, on files that were read before. Its memory is the sum of
the peaks of both processes that read.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge.results.document.result import CELL_CLASSES
from edge.results.reading.sidecars import read_sidecars
from edge.results.reading.table import read_table
from edge.sidecar import sidecar_path, to_json
from tests.support.sidecar_tree import fields_of, outcome

WHATS = ("read_sidecars", "read_table", "list of cells")


def main() -> int:
    """Make the files and measure, or measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--per-folder", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path.cwd())
    parser.add_argument("--once", nargs=2, metavar=("WHAT", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        measure(arguments.once[0], Path(arguments.once[1]))
        return 0
    with tempfile.TemporaryDirectory(prefix=".read-", dir=arguments.output) as scratch:
        make_sidecars(Path(scratch), arguments.cells, arguments.per_folder)
        for what in WHATS:
            for _ in range(arguments.runs):
                tell(what, scratch)
    return 0


def make_sidecars(root: Path, count: int, per_folder: int) -> None:
    """Real sidecars of cells of all classes, one sample to a folder."""
    chosen = random.Random(13)  # noqa: S311 - a simulation
    for number in range(count):
        sample = f"S{number // per_folder:06}"
        name = f"{sample}/{number:07}.jpg"
        if number % per_folder == 0:
            (root / sample).mkdir()
        content = str(number).encode()
        found = outcome(content, chosen.choice(CELL_CLASSES), round(chosen.uniform(0.7, 1), 6))
        fields = fields_of(found, name.encode(), sample, "1")
        sidecar_path(root / name, "json").write_bytes(to_json(fields))


def measure(what: str, path: Path) -> None:
    """Read all and print the figures as JSON."""
    started_s = time.perf_counter()
    if what == "read_table":
        count = len(read_table(path)["status"])
    elif what == "read_sidecars":
        count = sum(1 for _ in read_sidecars(path))
    else:
        count = len(list(read_sidecars(path)))
    wall_s = time.perf_counter() - started_s
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {
        "cells": count,
        "wall_s": wall_s,
        "processor_s": [usage.ru_utime + usage.ru_stime for usage in usages],
        "peak_mb": sum(usage.ru_maxrss for usage in usages) / 1024,
    }
    sys.stdout.write(json.dumps(figures))


def tell(what: str, path: str) -> None:
    """Measure in a process of its own and print a line."""
    command = [sys.executable, "-m", "tests.campaigns.read_speed", "--once", what, path]
    done = subprocess.run(command, capture_output=True, check=True)
    found = json.loads(done.stdout)
    own_s, helper_s = found["processor_s"]
    print(  # noqa: T201
        f"{what}: {found['cells']:,} cells in {found['wall_s']:.1f} s ({own_s:.1f} and "
        f"{helper_s:.1f} s of processor time), {found['peak_mb']:.0f} MB; "
        f"load {os.getloadavg()[0]:.1f} of {len(os.sched_getaffinity(0))} processors",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
