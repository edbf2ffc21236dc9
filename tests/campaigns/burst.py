"""A burst of images into a daemon that is stopped, so that the kernel's queue overflows.

    python -m tests.campaigns.burst [--images 20000] [--folders 100] [--output DIR]

Exits with 1 unless every image has its one outcome. tests/faults/test_hints.py is the short form.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.support.lab import Lab

# More than /proc/sys/fs/inotify/max_queued_events, which is 16384 by default.
_EVENTS = 17_000


def burst(lab: Lab, images: int, folders: int, *, timeout_s: float) -> float:
    """Overflow the queue, then add images; gives the seconds from the start of the daemon."""
    for number in range(folders):
        (lab.export / f"S{number}").mkdir()
    with lab.daemon() as process:
        lab.add("first.jpg")
        lab.await_done()
        process.send_signal(signal.SIGSTOP)
        # Two names in turn: equal events in a row are one.
        for number in range(_EVENTS):
            (lab.export / f"noise{number % 2}.tmp").write_bytes(b"")
        lab.add(*(f"S{n % folders}/{n}.jpg" for n in range(images)))
        started_s = time.monotonic()
        process.send_signal(signal.SIGCONT)
        lab.await_done(timeout_s=timeout_s)
        took_s = time.monotonic() - started_s
    lab.check()
    return took_s


def main() -> int:
    """Run the burst and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--folders", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path.cwd())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".burst-", dir=arguments.output) as scratch:
        took_s = burst(Lab(Path(scratch)), arguments.images, arguments.folders, timeout_s=1800)
    print(f"{arguments.images} images, queue overflowed: all labelled in {took_s:.1f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
