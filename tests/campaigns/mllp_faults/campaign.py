"""Faults on the way over MLLP: nothing may be lost, doubled or credited wrongly.

    python -m tests.campaigns.mllp_faults [--faults 2000] [--seed 1]

Rounds of slides with corrections go to a receiver that fails in 19 ways, from a sender that is
killed at its failpoints again and again. An operator releases what is held. The receiver stores
messages by MSH-10, as a LIS that removes doubles. After each death and at each end:

- what the outbox counts as sent, the receiver has stored: no answer was credited wrongly;
- a message that came again has the same bytes;
- no correction came before what it corrects.

At the end of a round the receiver has each result once.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.failpoints import VARIABLE
from edge.results.send.outbox.file import NAME as DATABASE
from edge.results.send.outbox.outbox import Outbox
from tests.campaigns.mllp_faults.child import ANSWER_S
from tests.campaigns.mllp_faults.faulty_lis import FaultyLis
from tests.support.mllp_server import mllp_server
from tests.support.slide_results import signed

ROOT: Final = Path(__file__).parents[3]
STEPS: Final = (
    *("send.issued", "send.before_commit", "send.after_commit", "send.before_message"),
    *("send.message_sent", "send.answered"),
)
SAMPLES: Final = 25
REVISIONS: Final = 2
# Of the passes of a failpoint before the kill.
_MOST_PASSES: Final = 25
# A round would not end if the sender made no way.
_MOST_STARTS: Final = 300
_CHILD_S: Final = 120.0


@dataclass
class Figures:
    """What happened, and what must not have."""

    faults: Counter[str] = field(default_factory=Counter)
    results: int = 0
    received: int = 0
    rounds: int = 0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        counts = [f"{count:6} {kind}" for kind, count in sorted(self.faults.items())]
        total = f"{self.faults.total()} faults in {self.rounds} rounds"
        sent = f"{self.results} results, received {self.received} times"
        return [*counts, f"{total}: {sent}, {len(self.problems)} problems", *self.problems[:20]]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--faults", type=int, default=2000)
    made.add_argument("--seed", type=int, default=1)
    return made


def run_campaign(
    folder: Path,
    *,
    faults: int,
    seed: int,
    show: Callable[[str], None] = lambda _line: None,
    samples: int = SAMPLES,
) -> Figures:
    """Rounds until there were so many faults."""
    figures = Figures()
    while figures.faults.total() < faults and not figures.problems:
        number = figures.rounds
        Round(folder / str(number), seed * 1000 + number, samples, figures).run()
        show(f"round {number + 1}: {figures.faults.total()} faults")
    return figures


class Round:
    """One outbox, one receiver, and senders that die."""

    def __init__(self, state: Path, seed: int, samples: int, figures: Figures) -> None:
        self._state = state
        self._samples = samples
        self._figures = figures
        self._random = random.Random(seed)  # noqa: S311 - repeatable
        self._lis = FaultyLis(seed, ANSWER_S)

    def run(self) -> None:
        """Until everything has arrived, or something is wrong."""
        figures = self._figures
        with mllp_server() as server:
            server.usual = self._lis.react
            for start in range(_MOST_STARTS):
                # In the last starts nothing goes wrong any more.
                self._lis.is_honest = start > _MOST_STARTS - 10
                is_done = self._start(server.port, start)
                self._check_acked()
                if figures.problems or (is_done and not self._release()):
                    break
            figures.received += len(server.received)
        figures.rounds += 1
        figures.faults.update(self._lis.faults)
        figures.problems += self._lis.problems
        self._check_stored()

    def _start(self, port: int, start: int) -> bool:
        """One life of a sender; returns whether it ended by itself."""
        words = [str(self._state), str(port), str(self._samples), str(REVISIONS)]
        environment = dict(os.environ)
        step = STEPS[start % len(STEPS)]
        if not self._lis.is_honest:
            number = self._random.randint(1, 2 if step == "send.issued" else _MOST_PASSES)
            environment[VARIABLE] = f"{step}=kill@{number}"
        done = subprocess.run(
            [sys.executable, "-m", "tests.campaigns.mllp_faults.child", *words],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_CHILD_S,
            check=False,
        )
        if done.returncode == -signal.SIGKILL:
            self._figures.faults[f"SIGKILL at {step}"] += 1
            return False
        if done.returncode:
            self._figures.problems.append(f"the sender ended with: {done.stderr[-500:]}")
        return True

    def _check_acked(self) -> None:
        """Whatever counts as sent was stored by the receiver."""
        if not (self._state / DATABASE).exists():
            return
        with closing(sqlite3.connect(self._state / DATABASE)) as db:
            query = "SELECT result_id FROM message WHERE stage = 'acked'"
            acked = {id_.encode() for (id_,) in db.execute(query)}
        self._figures.problems += [
            f"{id_!r} counts as sent and was never stored" for id_ in acked - set(self._lis.stored)
        ]

    def _release(self) -> int:
        """An operator releases what is held; returns how many."""
        with Outbox(self._state) as outbox:
            held = [entry for entry in outbox.open_entries(1000) if entry.stage == "held"]
            for entry in held:
                outbox.release(entry.id)
        return len(held)

    def _check_stored(self) -> None:
        wanted = {
            signed(f"S{number:04}", revision).result_id.encode()
            for number in range(self._samples)
            for revision in range(1, REVISIONS + 1)
        }
        self._figures.results += len(wanted)
        found = set(self._lis.stored)
        self._figures.problems += [f"{id_!r} was lost" for id_ in wanted - found]
        self._figures.problems += [f"{id_!r} was nobody's" for id_ in found - wanted]
