"""Damage a journal in a thousand ways: each is refused in one line, or does no harm.

    python -m tests.campaigns.journal_damage [--damages 1000] [--seed 1] [--output FOLDER]

A journal of some hundred rows is damaged: bytes, pages, length, write-ahead log, schema, values.
Then all that the daemon and its commands do with a journal is done with it, half of the time as if
it were too large to be looked through at the start. Exits with 1 where anything but StorageError
came, its message has more than one line, or something did not end.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.image.records import (
    ClaimedImage,
    Dropped,
    Finished,
    ImageVersion,
    Postponed,
    Unchanged,
    Verdict,
)
from daemon.journal import check as journal_check
from daemon.journal.file import NAME
from daemon.journal.journal import Journal, open_journal
from daemon.journal.summary import read_queue, read_summary
from edge.errors import RejectReason, StorageError
from edge.labeller import ImageFacts, Outcome, Timing, rejected
from edge.postprocess import Decision
from edge.status import Status
from tests.campaigns.journal_damages import DAMAGES

ROOT = Path(__file__).parent.parent.parent
FOLDERS = (Path("/export/a"), Path("/export/b"))
IMAGES = 240
# Work on a journal of this size takes a tenth of a second.
LIMIT_S = 30.0
# What a refusal says; `unnoticed` where there was none, and nothing had to be refused.
WORDS = ("unnoticed", "is damaged", "cannot be used", "has version", "no daemon has used")
# Rounds of a loop that must end after a few.
MANY = 2000


class EndlessError(Exception):
    """A loop did not end that each round should bring nearer to its end."""


@dataclass
class Found:
    """What became of the damages."""

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def versions(size_bytes: int = 10, mtime_ns: int = 5) -> list[ImageVersion]:
    return [
        ImageVersion(1 + n % 2, b"S%d/%d.jpg" % (n // 9, n), size_bytes, mtime_ns, 7)
        for n in range(IMAGES)
    ]


def make_journal(state_dir: Path) -> None:
    """A journal that has rows in every state."""
    state_dir.mkdir(parents=True)
    with closing(open_journal(state_dir)) as journal:
        for folder in FOLDERS:
            journal.serve(folder)
        journal.record_waiting(versions())
        for image in journal.claim(IMAGES - 30):
            journal.conclude([verdict_on(image)])
        journal.record_waiting(versions(mtime_ns=6)[:60])
        journal.record_waiting(versions(size_bytes=11)[60:80])
        for image in journal.claim(40):
            journal.conclude([verdict_on(image)])
        journal.claim(9)


def verdict_on(image: ClaimedImage) -> Verdict:
    """One of all kinds of verdicts, by the image's number."""
    kind = image.id % 7
    if image.past_outcome is not None and kind < 4:
        return Unchanged(image)
    if kind == 5:
        return Dropped(image, "gone" if image.id % 2 else "superseded")
    if kind == 6 and image.attempts < 3:
        return Postponed(image, 0.0, image.attempts + 1, "Input/output error", 1.0)
    if kind == 4:
        facts = ImageFacts("ab" * 32, 10)
        return Finished(image, rejected(RejectReason.TRUNCATED, "no end", facts))
    decision = Decision("red", 0.9, {"red": 0.9}, is_identified=True)
    facts = ImageFacts(f"{image.id:064x}", 10)
    return Finished(image, Outcome(Status.LABELLED, facts, Timing(), decision))


def use(state_dir: Path) -> str:
    """Do all that is done with a journal; says where it was refused first, or `unnoticed`.

    Raises:
        EndlessError, or what no caller expects of a journal.
    """
    refusals = [*_refused(state_dir, _look), *_refused(state_dir, _work)]
    refusals += _refused(state_dir, _look)
    for text in refusals:
        if not text.isprintable():
            raise ValueError(f"not one line: {text!r}")
    return refusals[0] if refusals else "unnoticed"


def _refused(state_dir: Path, action: Callable[[Path], Iterator[None]]) -> list[str]:
    try:
        for _ in action(state_dir):
            pass
    except StorageError as error:
        return [str(error)]
    return []


def _look(state_dir: Path) -> Iterator[None]:
    read_queue(state_dir, FOLDERS)
    yield
    json.dumps(read_summary(state_dir, FOLDERS).states)
    yield


def _work(state_dir: Path) -> Iterator[None]:
    with closing(open_journal(state_dir)) as journal:
        for folder in FOLDERS:
            journal.serve(folder)
        for step in (_start, _scan, _label, _look_again, _retry, _label, _forget):
            step(journal)
            yield


def _start(journal: Journal) -> None:
    journal.check_writable()
    journal.newest_outcome_at()
    journal.claims()
    journal.take_back_claims(is_interruption=False)


def _scan(journal: Journal) -> None:
    journal.unknown(versions())
    for seen in (versions(mtime_ns=8), versions(size_bytes=12)[:50]):
        journal.record_waiting(seen)


def _label(journal: Journal) -> None:
    for round_ in range(MANY):
        images = journal.claim(16)
        if not images:
            break
        if round_ % 5 == 4:
            journal.release(images, is_interruption=False)
        else:
            journal.conclude([verdict_on(image) for image in images])
    else:
        raise EndlessError("images are claimed again and again")
    if journal.has_open_images() or journal.count_open():
        raise EndlessError("images wait that are never claimed")


def _look_again(journal: Journal) -> None:
    for _ in range(MANY):
        if not journal.look_again(100, time.time() + 3600):
            return
    raise EndlessError("looks are due again and again")


def _retry(journal: Journal) -> None:
    for pages in (journal.rejections(), journal.outcomes(of_other_than="ab"), journal.outcomes()):
        for number, page in enumerate(pages):
            journal.put_back(page)
            if number > MANY:
                raise EndlessError("pages of outcomes do not end")


def _forget(journal: Journal) -> None:
    after = 0
    for _ in range(MANY):
        after, old = journal.old_rows(after, time.time() + 1, 50)
        if after == 0:
            return
        journal.delete_old(old, time.time() + 1)
    raise EndlessError("pages of old rows do not end")


def try_one(seed: int, base: Path, scratch: Path) -> str:
    """Damage a copy of a journal and use it; says what became of it."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(base, scratch)
    name, damage = chance.choice(list(DAMAGES.items()))
    damage(scratch / NAME, chance)
    is_checked = chance.random() < 0.5
    limit = 2**30 if is_checked else -1
    journal_check.PAGES_BYTES = journal_check.ROWS_BYTES = limit  # type: ignore[misc]
    try:
        found = use(scratch)
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        return f"{name}: {error!r}"
    return next((word for word in WORDS if word in found), f"{name}: {found}")


def work(first: int, end: int, folder: Path) -> None:
    """Try some seeds, a line for each."""
    make_journal(folder / "base")
    for seed in range(first, end):
        print(f"{seed} {try_one(seed, folder / 'base', folder / 'copy')}", flush=True)  # noqa: T201


def run(damages: int, seed: int, folder: Path, *, limit_s: float = LIMIT_S) -> Found:
    """Try damages in a child process, which is ended where one of them does not."""
    found = Found()
    next_, end = seed * 1_000_000, seed * 1_000_000 + damages
    while next_ < end:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            for line in _lines(next_, end, Path(scratch), limit_s):
                outcome = line.partition(" ")[2]
                is_fair = outcome in WORDS
                found.outcomes[outcome if is_fair else "violation"] += 1
                if not is_fair:
                    found.problems.append(line)
                next_ += 1
        if next_ < end:
            found.outcomes["violation"] += 1
            found.problems.append(f"{next_} did not end in {limit_s:.0f} s")
            next_ += 1
    return found


def _lines(first: int, end: int, scratch: Path, limit_s: float) -> Iterator[str]:
    words = ["--worker", str(first), str(end), "--output", str(scratch)]
    command = [sys.executable, "-m", "tests.campaigns.journal_damage", *words]
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        stream = child.stdout

        def read() -> None:
            for line in stream:
                lines.put(line.rstrip())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(end - first):
                yield lines.get(timeout=limit_s)
        except queue.Empty:
            return
        finally:
            child.kill()
            reader.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="folder for the scratch files")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        first, end = arguments.worker
        work(first, end, arguments.output)
        return 0
    found = run(arguments.damages, arguments.seed, arguments.output)
    for problem in found.problems[:50]:
        print(f"error: {problem}")  # noqa: T201
    print(json.dumps(found.outcomes, indent=1))  # noqa: T201
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
