"""How long a restarted daemon takes to look through an export that it knows.

    python -m tests.campaigns.scan_speed [--files 100000] [--folders 500] [--output DIR]

Measures the first scan, with the journal's answer for every file, and a quick scan after it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.intake.rescan import Rescan
from daemon.journal.journal import Journal, open_journal

_RUNS = 5


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--output", type=Path, default=Path.cwd())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".scan-", dir=arguments.output) as scratch:
        folder = Path(scratch)
        make_export(folder / "export", arguments.files, arguments.folders)
        journal = open_journal(folder)
        id_ = journal.serve(folder / "export")
        root = WatchFolder(
            id_, folder / "export", folder, names_regex(("*.jpg", "*.jpeg", "*.png"))
        )
        scan = Rescan(root)
        while versions := scan.next_chunk(0.0, quick_s=0.0):
            journal.record_waiting(versions)
        whole = [time_scan(root, journal, arguments.files) for _ in range(_RUNS)]
        quick = [time_quick(root) for _ in range(_RUNS)]
        journal.close()
    for name, times in (("startup scan", whole), ("quick scan, nothing new", quick)):
        text = f"median {statistics.median(times):.3f} s, {min(times):.3f} to {max(times):.3f}"
        print(f"{name} of {arguments.files} files in {arguments.folders} folders: {text}")  # noqa: T201
    return 0


def make_export(folder: Path, files: int, folders: int) -> None:
    """Empty files: a scan opens none of them."""
    for number in range(folders):
        (folder / f"S{number:05}").mkdir(parents=True)
    for number in range(files):
        path = folder / f"S{number % folders:05}" / f"IMG_{number:07}.jpg"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    for number in range(folders):
        os.utime(folder / f"S{number:05}", (1e9, 1e9))


def time_scan(root: WatchFolder, journal: Journal, files: int) -> float:
    """Seconds for a whole scan in which the journal knows every file."""
    scan, seen, started_s = Rescan(root), 0, time.perf_counter()
    while versions := scan.next_chunk(60.0):
        seen += len(versions)
        assert journal.unknown(versions) == []
    assert seen == files
    return time.perf_counter() - started_s


def time_quick(root: WatchFolder) -> float:
    """Seconds for a look at every folder, none of which has changed."""
    scan = Rescan(root)
    while scan.next_chunk(3600.0, quick_s=0.0):
        pass
    time.sleep(max(0.0, scan.seconds_to_next()))
    started_s = time.perf_counter()
    assert scan.next_chunk(3600.0, quick_s=0.0) == []
    return time.perf_counter() - started_s


if __name__ == "__main__":
    sys.exit(main())
