"""Resident memory of the service over many reloads. Run by hand: some minutes.

    python -m tests.campaigns.reloads NAME.edge [--reloads 200]

Each reload is waited for, and an image must get its label after it. Exits 1 where the memory after
the last reload is more than a tenth above that after the twentieth.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from edge.system.installed import installed_command
from tests.support.images import colour_jpeg
from tests.support.waiting import until

SHOWN: Final = (1, 20, 50, 100, 150, 200)
SETTLED: Final = 20
MAX_GROWTH: Final = 1.10
_WAIT_S: Final = 60.0


def main() -> int:
    """Reload as often as asked; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--reloads", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sizes_mb = measure(Path(name), arguments.bundle, arguments.reloads)
    for number in sorted({*SHOWN, arguments.reloads} & set(sizes_mb)):
        sys.stdout.write(f"after {number:3} reloads {sizes_mb[number]:5} MB\n")
    last = sizes_mb[arguments.reloads]
    return 0 if last <= MAX_GROWTH * sizes_mb[min(SETTLED, arguments.reloads)] else 1


def measure(folder: Path, bundle: Path, reloads: int) -> dict[int, int]:
    """Resident megabytes after each reload."""
    settings = {
        "bundle": str(bundle.resolve()),
        "backend": "onnxruntime",
        "watch": [{"folder": str(folder / "export")}],
        "results": {"folder": str(folder / "results")},
        "settle_s": 0.1,
        "state_dir": str(folder / "state"),
    }
    for name in ("export", "results"):
        (folder / name).mkdir()
    (folder / "edge.yaml").write_text(json.dumps(settings))
    command = [installed_command("edge-daemon"), "run", "--config", str(folder / "edge.yaml")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            return _reload_often(folder, process, reloads)
        finally:
            process.terminate()


def _reload_often(folder: Path, process: subprocess.Popen[bytes], reloads: int) -> dict[int, int]:
    sizes_mb: dict[int, int] = {}
    for number in range(reloads + 1):
        if number:
            process.send_signal(signal.SIGHUP)
        _await(process, partial(_has_started, folder, number + 1))
        write_image(folder / "export" / f"{number}.jpg", seed=number)
        sidecar = folder / "results" / f"{number}.jpg.json"
        _await(process, sidecar.exists)
        sizes_mb[number] = resident_mb(process.pid)
    return sizes_mb


def _has_started(folder: Path, times: int) -> bool:
    return (folder / "log").read_text().count("labelling images of") == times


def write_image(path: Path, *, seed: int) -> None:
    """An image that decodes."""
    path.write_bytes(colour_jpeg("red", seed=seed))


def resident_mb(pid: int) -> int:
    """What a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 // 1_000_000


def _await(process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    until(lambda: is_so() or process.poll() is not None, timeout_s=_WAIT_S, poll_s=0.02)
    if process.poll() is not None:
        raise SystemExit("the service ended; see its log")


if __name__ == "__main__":
    sys.exit(main())
