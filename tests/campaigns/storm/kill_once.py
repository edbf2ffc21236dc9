"""Kill `edge-daemon once` at random moments on real images, then count what is on the disk.

    python -m tests.campaigns.storm.kill_once --bundle B.edge --images DIR [--kills 20]

Exits with 1 if an image has no outcome, a sidecar is not whole, or anything is there twice.
tests/daemon/test_crash.py is the short form that runs in CI.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from edge.system.installed import installed_command
from tests.support.waiting import until


def main() -> int:
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix=".kill-once-", dir=arguments.output) as scratch:
        folder = Path(scratch)
        config = prepare(arguments.bundle, arguments.images, folder)
        argv = [installed_command("edge-daemon"), "once", "--config", str(config)]
        chance = random.Random(arguments.seed)  # noqa: S311 - a repeatable choice of moments
        for number in range(arguments.kills):
            done = kill_at_random(argv, folder, chance)
            print(f"kill {number + 1}: {done} sidecars")  # noqa: T201
        subprocess.run(argv, check=True)
        problems = check(folder)
    for problem in problems:
        print(f"error: {problem}")  # noqa: T201
    print(f"{len(problems)} problems")  # noqa: T201
    return 1 if problems else 0


def prepare(bundle: Path, images: Path, folder: Path) -> Path:
    """Copy the images into an export folder and write a configuration."""
    shutil.copytree(images, folder / "export")
    (folder / "results").mkdir()
    config = {
        "bundle": str(bundle.resolve()),
        "watch": [{"folder": "export"}],
        "results": {"folder": "results"},
        "state_dir": "state",
        "settle_s": 0.1,
    }
    (folder / "edge.yaml").write_text(json.dumps(config))
    return folder / "edge.yaml"


def count(folder: Path) -> int:
    """How many sidecars there are."""
    return len(list((folder / "results").rglob("*.json")))


def kill_at_random(argv: list[str], folder: Path, chance: random.Random) -> int:
    """Start the daemon, kill it within its work, count the whole sidecars."""
    before = count(folder)
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Only a daemon that has begun to write can be killed within its work.
    until(lambda: process.poll() is not None or count(folder) > before, timeout_s=60)
    time.sleep(chance.uniform(0.0, 0.1))
    process.kill()
    process.wait()
    sidecars = list((folder / "results").rglob("*.json"))
    for sidecar in sidecars:
        json.loads(sidecar.read_bytes())  # raises where a visible sidecar is torn
    return len(sidecars)


def check(folder: Path) -> list[str]:
    """What is wrong after the last, undisturbed run; empty when nothing is."""
    images = sorted(p for p in (folder / "export").rglob("*") if p.is_file())
    expected = {f"{p.relative_to(folder / 'export')}{s}" for p in images for s in (".json", ".csv")}
    found = {str(p.relative_to(folder / "results")) for p in (folder / "results").rglob("*.*")}
    problems = [f"no file {name}" for name in sorted(expected - found)]
    problems += [f"unexpected file {name}" for name in sorted(found - expected)]
    for image in images:
        target = folder / "results" / image.relative_to(folder / "export")
        fields = json.loads(target.with_name(f"{target.name}.json").read_bytes())
        if fields["status"] not in ("labelled", "unidentified"):
            problems.append(f"{image.name} is {fields['status']}")
        rows = target.with_name(f"{target.name}.csv").read_text().splitlines()
        if len(rows) != 2:
            problems.append(f"{image.name} has {len(rows)} CSV lines")
    with closing(sqlite3.connect(folder / "state" / "journal.sqlite3")) as journal:
        counted = journal.execute("SELECT state, count(*) FROM image GROUP BY state").fetchall()
    if counted != [("done", len(images))]:
        problems.append(f"the journal holds {counted} for {len(images)} images")
    return problems


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path())
    return parser


if __name__ == "__main__":
    sys.exit(main())
