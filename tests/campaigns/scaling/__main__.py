"""Cost of an image against files, workers and threads, and rows of the journal.

    python -m tests.campaigns.scaling files   --counts 1000,10000,100000 --out DIR
    python -m tests.campaigns.scaling workers --out DIR
    python -m tests.campaigns.scaling journal --rows 1000,1000000,10000000 --out DIR
    python -m tests.campaigns.scaling picture --out DIR       # DIR/*.json -> docs/performance/

A network of three operators stands for the model, and images of 40 pixels for cells, so that
intake, journal and sidecars are measured. Processor time per image is the figure to compare: other
programs change it least. DIR is on the disk to be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from daemon.journal.journal import open_journal
from tests.campaigns.endurance import done_count
from tests.campaigns.journal_year import fill
from tests.campaigns.scaling.picture import picture
from tests.campaigns.scaling.runs import (
    Running,
    Sample,
    add_images,
    cpu_s,
    has_sidecars,
    make_site,
    run_once,
    tidy,
)

NEW_IMAGES = 1_000
STARTS = 3
_PICTURE = Path(__file__).parents[3] / "docs" / "performance" / "scaling.svg"


def main() -> None:
    """Run one of the measurements, or draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["files", "workers", "journal", "picture"])
    parser.add_argument("--counts", default="1000,10000,100000")
    parser.add_argument("--rows", default="1000,100000,10000000")
    parser.add_argument("--images", type=int, default=2_000, help="for workers")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds of one run of once")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    out: Path = arguments.out
    if arguments.what == "picture":
        _PICTURE.write_text(picture(*(read(out, n) for n in ("files", "workers", "journal"))))
        return
    steps = {
        "files": lambda: [
            files(out, int(count), arguments.limit) for count in arguments.counts.split(",")
        ],
        "workers": lambda: [
            workers(out, number, threads, arguments.images)
            for threads in (1, 2)
            for number in (1, 2, 4)
        ],
        "journal": lambda: [journal(out, int(rows)) for rows in arguments.rows.split(",")],
    }
    found = steps[arguments.what]()
    (out / f"{arguments.what}.json").write_text(json.dumps(found, indent=1))


def read(out: Path, name: str) -> list[dict[str, Any]]:
    """The rows that a measurement has left; none where it was not made."""
    path = out / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found


def files(out: Path, count: int, limit_s: float) -> dict[str, Any]:
    """`once` over so many files, or as many as it labels in `limit_s`."""
    folder = out / f"files-{count}"
    tidy(folder)
    config = make_site(folder)
    add_images(folder, 0, count)
    samples = run_once(folder, config, limit_s)
    done = done_count(folder)
    found = {"files": count, "done": done, **rates(samples)}
    tidy(folder)
    return say(found)


def rates(samples: list[Sample]) -> dict[str, float]:
    """Of the whole run, and of its second half, which has no start and, mostly, no scan."""
    last = samples[-1]
    begins = [s for s in samples if s.done >= last.done / 2] or samples
    half = last.done - begins[0].done
    return {
        "seconds": last.elapsed_s,
        "per_second": last.done / last.elapsed_s,
        "cpu_ms": 1e3 * last.cpu_s / max(last.done, 1),
        "late_cpu_ms": 1e3 * (last.cpu_s - begins[0].cpu_s) / half if half else 0.0,
        "peak_mb": last.peak_mb,
    }


def workers(out: Path, number: int, threads: int, images: int) -> dict[str, Any]:
    """`once` with so many workers, and threads inside of an inference."""
    folder = out / f"workers-{number}-{threads}"
    tidy(folder)
    config = make_site(folder, workers=number, threads=threads)
    add_images(folder, 0, images)
    samples = run_once(folder, config, 600.0)
    found = {"workers": number, "threads": threads, **rates(samples)}
    tidy(folder)
    return say(found)


def journal(out: Path, rows: int) -> dict[str, Any]:
    """Start, idling and labelling with a journal of so many rows, which is kept in `out`."""
    folder = out / f"journal-{rows}"
    if not (folder / "edge.yaml").exists():
        config = make_site(folder)
        (folder / "state").mkdir(mode=0o700)
        opened = open_journal(folder / "state")
        root = opened.serve(folder / "export")
        opened.close()
        fill(folder, root, rows)
    config = folder / "edge.yaml"
    starts = []
    for _ in range(STARTS):
        daemon = Running(config, out)
        starts.append((daemon.start_cpu_s, daemon.start_s))
        if len(starts) < STARTS:
            daemon.stop()
    idle = daemon.idle_percent(20.0)
    began_s, cpu_before_s = time.monotonic(), cpu_s(daemon.pid)
    # Numbers that no earlier run of this folder has used.
    first = 10**9 + int(time.time()) * 10**4
    add_images(folder, first, NEW_IMAGES)
    # By the sidecars: counting ten million rows takes longer than labelling the images.
    while not has_sidecars(folder, first, NEW_IMAGES):
        time.sleep(0.5)
    found = {
        "rows": rows,
        "start_s": min(starts)[1],
        "start_cpu_s": min(starts)[0],
        "idle_percent": idle,
        "cpu_ms": 1e3 * (cpu_s(daemon.pid) - cpu_before_s) / NEW_IMAGES,
        "per_second": NEW_IMAGES / (time.monotonic() - began_s),
    }
    daemon.stop()
    return say(found)


def say(found: dict[str, Any]) -> dict[str, Any]:
    """Print a row at once, as the next may take an hour."""
    load = f"{os.getloadavg()[0]:.1f}"
    sys.stdout.write(json.dumps({**found, "load": load}) + "\n")
    sys.stdout.flush()
    return found


if __name__ == "__main__":
    main()
