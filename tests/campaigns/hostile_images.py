"""Read every hostile image in one process and say what became of each family.

    python -m tests.campaigns.hostile_images [--share 1]

Exits with 1 where a file that must be rejected decodes, a whole one is refused, anything but a
rejection is raised, or the process needs more than 512 MB.
tests/faults/hostile/test_images.py is the short form that runs in CI.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from edge.errors import ImageError, RejectReason
from edge.image_files.read import read_image
from tests.support.hostile.cases import Case, all_cases

MEMORY_LIMIT_MB: Final = 512
DECODED: Final = "decoded"


@dataclass(slots=True)
class FamilyResult:
    """What became of the files of one family."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    peak_mb: float = 0.0
    seconds: float = 0.0
    slowest_s: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=int, default=1, help="take one case in so many")
    share = parser.parse_args().share
    cases = (case for number, case in enumerate(all_cases()) if number % share == 0)
    with tempfile.TemporaryDirectory() as folder:
        results = judge_all(cases, Path(folder) / "image.jpg")
    for result in results:
        print_result(result)
    total = sum((result.outcomes for result in results), Counter[str]())
    peak_mb = max(result.peak_mb for result in results)
    problems = [problem for result in results for problem in result.problems]
    if peak_mb > MEMORY_LIMIT_MB:
        problems.append(f"{peak_mb:.0f} MB were needed, {MEMORY_LIMIT_MB} are allowed")
    print(f"{total.total()} cases, {total[DECODED]} decoded, {peak_mb:.0f} MB")  # noqa: T201
    for problem in problems:
        print(f"error: {problem}")  # noqa: T201
    return 1 if problems else 0


def judge_all(cases: Iterable[Case], path: Path) -> list[FamilyResult]:
    """Read every case from a file of its own, one after the other."""
    results = []
    for name, family in groupby(cases, lambda case: case.family):
        result = FamilyResult(name)
        for number, case in enumerate(family):
            path.write_bytes(case.content)
            _forget_peak()
            start = time.perf_counter()
            outcome = judge(path)
            took_s = time.perf_counter() - start
            result.peak_mb = max(result.peak_mb, _peak_mb())
            result.seconds += took_s
            result.slowest_s = max(result.slowest_s, took_s)
            result.outcomes[outcome] += 1
            reason = None if outcome == DECODED else outcome
            if reason not in case.expected:
                result.problems.append(f"{name} {number}: {outcome}")
        results.append(result)
    return results


def judge(path: Path) -> str:
    """What becomes of one file: "decoded", a reason, or the name of an unexpected error."""
    try:
        pixels = read_image(path)
    except ImageError as error:
        return RejectReason(error.reason)
    except Exception as error:  # noqa: BLE001 - no other error may come out: this is the finding
        return f"{type(error).__name__}: {error}"
    return DECODED if pixels.ndim == 3 and pixels.shape[2] == 3 else f"shape {pixels.shape}"


def print_result(result: FamilyResult) -> None:
    """One line of the table."""
    counts = ", ".join(f"{name} {count}" for name, count in result.outcomes.most_common())
    print(  # noqa: T201
        f"{result.name:20} {result.outcomes.total():5} cases {result.peak_mb:5.0f} MB "
        f"{result.seconds:6.2f} s, slowest {result.slowest_s * 1e3:6.0f} ms: {counts}"
    )


def _forget_peak() -> None:
    # proc(5): 5 sets the peak of resident memory back to what is resident now.
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    sys.exit(main())
