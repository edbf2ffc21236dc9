"""A journal of many rows: what a claim, a look and a page of retention cost, and how large it is.

    python -m tests.campaigns.journal_year [--rows 1000000] [--folder DIR]

The rows are as a daemon leaves them, written at once instead of in a year; the images of the older
half have left the export. Exits with 1 if a row was deleted whose image is there, or if one stayed
that should not have.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from daemon.image.records import ImageVersion, OldRow
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.journal.file import NAME
from daemon.journal.journal import Journal, open_journal
from daemon.journal.summary import read_queue, read_summary
from daemon.retention import DAY_S, Retention
from daemon.retention import NAME as RETENTION_NAME
from daemon.supervision.reporter import journal_bytes

ROWS_A_DAY = 20_000
RETENTION_DAYS = 400.0


def main() -> int:
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix=".journal-year-", dir=arguments.folder) as scratch:
        folder = Path(scratch)
        (folder / "export").mkdir()
        (folder / "state").mkdir()
        return measure(folder, arguments.rows)


def measure(folder: Path, rows: int) -> int:
    journal = open_journal(folder / "state")
    export = folder / "export"
    root = WatchFolder(journal.serve(export), export, folder, names_regex(("*.jpg",)))
    say("rows written", f"{fill(folder, root.id, rows):.0f} s for {rows:,}")
    make_images(folder, range(rows - 100, rows))
    say("journal", f"{journal_bytes(folder / 'state') / 1e6:.0f} MB")
    measure_use(journal, rows, root.id)
    say("status", f"{timed(lambda: read_summary(folder / 'state', [export])) * 1e3:.0f} ms")
    say(
        "count of the queue",
        f"{timed(lambda: read_queue(folder / 'state', [export])) * 1e3:.0f} ms",
    )
    # The older half is due: its outcomes are older than the retention.
    now_s = first_s() + (RETENTION_DAYS + rows / 2 / ROWS_A_DAY) * DAY_S
    last = {"at": now_s - DAY_S, "trusted": now_s - DAY_S}
    (folder / "state" / RETENTION_NAME).write_text(json.dumps(last))
    retention = Retention(
        journal,
        {root.id: root},
        folder / "state",
        RETENTION_DAYS,
        is_idle=lambda: True,
        wall_clock=lambda: now_s,
    )
    deleted = measure_pass(journal, retention, root.id)
    say("journal after the pass", f"{journal_bytes(folder / 'state') / 1e6:.0f} MB")
    with closing(sqlite3.connect(folder / "state" / NAME)) as db:
        old = db.execute("SELECT count(*) FROM image WHERE finished_at <= ?", (due_s(now_s),))
        left = old.fetchone()[0]
    journal.close()
    say("rows deleted", f"{deleted:,}; old rows left {left}")
    return int(left > 0 or abs(deleted - rows // 2) > 1)


def first_s() -> float:
    return 1_700_000_000.0


def due_s(now_s: float) -> float:
    return now_s - RETENTION_DAYS * DAY_S


def path_of(number: int) -> str:
    return f"S{number // 200:07}/1/cell_{number:09}.jpg"


def fill(folder: Path, root: int, rows: int) -> float:
    start = time.perf_counter()
    with closing(sqlite3.connect(folder / "state" / NAME)) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        db.executemany(
            "INSERT INTO image (root, path, size_bytes, mtime_ns, state, status, label, confidence,"
            " sha256, recorded_at, finished_at) VALUES (?, ?, 5, 1, 'done', 'labelled',"
            " 'neutrophil', 0.99, ?, ?, ?)",
            (
                (root, path_of(n).encode(), f"{n:064x}", at, at)
                for n in range(rows)
                for at in [first_s() + n / ROWS_A_DAY * DAY_S]
            ),
        )
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return time.perf_counter() - start


def make_images(folder: Path, numbers: range) -> None:
    """The newest images are still there, as the journal knows them."""
    for number in numbers:
        path = folder / "export" / path_of(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")
    with closing(sqlite3.connect(folder / "state" / NAME)) as db, db:
        for number in numbers:
            path = folder / "export" / path_of(number)
            row = (path.stat().st_mtime_ns, path_of(number).encode())
            db.execute("UPDATE image SET mtime_ns = ? WHERE path = ?", row)


def measure_use(journal: Journal, rows: int, root: int) -> None:
    chance = random.Random(1)  # noqa: S311 - a repeatable choice
    unknown_s, record_s, claim_s = [], [], []
    for _ in range(20):
        numbers = chance.sample(range(rows), 500)
        chunk = [ImageVersion(root, path_of(n).encode(), 5, 1) for n in numbers]
        unknown_s.append(timed(partial(journal.unknown, chunk)))
    for number in range(50):
        new = [ImageVersion(root, f"new/{number}-{i}.jpg".encode(), 5, 1) for i in range(16)]
        record_s.append(timed(partial(journal.record_waiting, new)))
        claim_s.append(timed(lambda: journal.claim(16)))
    say("look at 500 known images", milliseconds(unknown_s))
    say("record 16 new images", milliseconds(record_s))
    say("claim 16 images", milliseconds(claim_s))


def measure_pass(journal: Journal, retention: Retention, root: int) -> int:
    """Time the pass, its pages, and what a claim waits meanwhile."""
    delete_old = journal.delete_old
    pages_s: list[float] = []

    def timed_forget(rows: list[OldRow], until_s: float) -> int:
        start = time.perf_counter()
        try:
            return delete_old(rows, until_s)
        finally:
            pages_s.append(time.perf_counter() - start)

    journal.delete_old = timed_forget  # type: ignore[method-assign]
    deleted: list[int] = []
    thread = threading.Thread(target=lambda: deleted.append(retention.make_pass()))
    start = time.perf_counter()
    thread.start()
    waits_s: list[float] = []
    while thread.is_alive():
        number = len(waits_s)
        journal.record_waiting([ImageVersion(root, f"meanwhile/{number}.jpg".encode(), 5, 1)])
        waits_s.append(timed(lambda: journal.claim(16)))
        time.sleep(0.02)
    say("pass of retention", f"{time.perf_counter() - start:.0f} s")
    say("page of 500 rows deleted", milliseconds(pages_s))
    say("claim during the pass", milliseconds(waits_s))
    return deleted[0]


def timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def milliseconds(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return (
        f"median {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms, "
        f"longest {max(seconds) * 1e3:.1f} ms ({len(seconds)} times)"
    )


def say(what: str, text: str) -> None:
    print(f"{what:<26}{text}", flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
