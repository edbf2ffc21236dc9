"""How long a large record takes to check and to audit, and how much memory.

    python -m tests.campaigns.record_size [--entries 1000000] [--cells 20]

The record is written in one transaction, as appending each entry durably would take hours. Prints
seconds and the resident memory after each step; exits with 1 if the check finds a problem.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge.results.review.audit.agreement import agreement_of
from edge.results.review.audit.period import Period
from edge.results.review.record.chain import Chain
from edge.results.review.record.entry import NO_HASH, Action, Draft
from edge.results.review.record.entry_json import sealed
from edge.results.review.record.record import Record
from tests.support.review_entries import START, change, draft

# Of a slide: decisions, and a signature of all their cells.
_DECISIONS = 9


def drafts(entries: int, cells: int) -> Iterator[Draft]:
    """Slides of nine decisions and a signature of nine times as many cells."""
    for number in range(entries):
        sample, step = f"S{number // (_DECISIONS + 1):07}", number % (_DECISIONS + 1)
        if step < _DECISIONS:
            yield draft(sample=sample, cells=[change(step * cells + n) for n in range(cells)])
        else:
            all_cells = [change(n) for n in range(_DECISIONS * cells)]
            yield draft(Action.SIGN, sample=sample, cells=all_cells)


def write(folder: Path, entries: int, cells: int) -> Path:
    """A record of so many entries."""
    with Record.open(folder) as record:
        path = record.path
    number, previous = 0, NO_HASH
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        for number, one in enumerate(drafts(entries, cells), 1):
            entry, content = sealed(one, number, START + timedelta(seconds=number), previous)
            previous = entry.hash
            row = (number, previous, one.request, one.slide_key, str(one.action), None)
            db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, content.decode()))
            db.execute("UPDATE head SET number = ?, hash = ?", (number, previous))
        db.execute("COMMIT")
    return path


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Do it, and print how long it took and the most memory so far."""
    started = time.monotonic()
    found = work()
    seconds = time.monotonic() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    sys.stdout.write(f"{what}: {seconds:.1f} s, at most {peak_mb:.0f} MB so far\n")
    sys.stdout.flush()
    return found


def main() -> int:
    """Measure; returns 1 if the check finds a problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--cells", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        what = f"{arguments.entries} entries"
        path = timed(f"{what} written", lambda: write(Path(folder), *vars(arguments).values()))
        sys.stdout.write(f"{path.stat().st_size / 1e6:.0f} MB\n")
        with Record.open(Path(folder)) as record:
            problems = timed("checked", lambda: list(Chain(record).problems()))
            timed("agreement", lambda: agreement_of(record, Period()))
            timed("one append", lambda: record.append(draft()))
            timed("one slide", lambda: record.of_slide(draft(sample="S0000001").slide_key))
    sys.stdout.write("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
