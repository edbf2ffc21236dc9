"""The same tests again and again, in an order drawn by chance and under load. Run by hand.

    python -m tests.campaigns.repeat [--times 10] [--processes 3] [--seed 1] [tests/daemon ...]

More processes than cores make every thread late at some time, as on a busy workstation. Each run
has a seed of its own, which is printed: `--times 1 --seed N` repeats that order. Exits 1 where
a test failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time


def main() -> int:
    """Run as often as asked; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", default=["tests/daemon"], help="as pytest takes them")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next adds 1")
    arguments = parser.parse_args()
    failed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.times):
        failed += not passes(seed, arguments.processes, arguments.paths)
    sys.stdout.write(f"{arguments.times - failed} of {arguments.times} runs passed\n")
    return 1 if failed else 0


def passes(seed: int, processes: int, paths: list[str]) -> bool:
    """Whether all tests pass in the order of a seed; prints a line, and what failed."""
    words = ["-q", "-p", "tests.support.shuffled", "--shuffle", str(seed), "-n", str(processes)]
    start_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *paths],
        # One thread of OpenMP each: the processes are the load.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start_s
    lines = done.stdout.splitlines()
    load = f"load {os.getloadavg()[0]:.1f}"
    sys.stdout.write(f"seed {seed}: {lines[-1] if lines else ''} ({seconds:.0f} s, {load})\n")
    if done.returncode:
        sys.stdout.write(done.stdout)
    sys.stdout.flush()
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
