"""Kill `edge-daemon run` a thousand times over a growing export, then count what is lost.

    python -m tests.campaigns.storm [--bundle B] [--kills 1000] [--files 50000]
        [--workers 2] [--seed 1] [--json FILE] [--output FOLDER]

Half of the kills come from failpoints, each of edge.failpoints.LABELLING in turn, the others at
random moments. Each worker has an export, a results folder and a daemon of its own. All the time
an observer reads the sidecars as a LIS does. At the end `edge-daemon once` labels what is left.
Exits with 1 if anything is lost, torn, doubled or wrong. tests/faults/test_storm.py is the short
form that runs in CI.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from edge.failpoints import LABELLING
from tests.campaigns.storm.checks import Observer, final_problems
from tests.campaigns.storm.site import Site
from tests.support.images import colour_jpeg
from tests.support.small_bundle import write_small_bundle

# A start takes 0.4 s alone, three times that where all cores are busy.
START_S = 0.6
# Work between READY and a random kill.
WORK_S = 0.3
# An armed daemon that met its point in this time never will: it is killed here and now.
ARMED_LIMIT_S = 6.0
DRAIN_LIMIT_S = 1800.0
RANDOM = "random"


@dataclass
class Figures:
    """What was done and found; one for all workers."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)
    drain_s: list[float] = field(default_factory=list)
    files: int = 0
    versions: int = 0
    reads: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """For the JSON file."""
        per_failpoint = {name: self.kills[name] for name in LABELLING}
        return {
            "kills": self.kills.total(),
            "kills_at_random": self.kills[RANDOM],
            "kills_per_failpoint": per_failpoint,
            "failpoints_missed": dict(self.missed),
            "files": self.files,
            "versions": self.versions,
            "sidecars_read_by_observer": self.reads,
            "violations": len(self.problems),
            "start_median_s": round(statistics.median(self.start_s), 3) if self.start_s else None,
            "drain_s": [round(s, 1) for s in self.drain_s],
            "seconds": round(self.seconds, 1),
        }


class Plan:
    """Which kill comes next, and how many files until then. Shared by the workers."""

    def __init__(self, kills: int, files: int, chance: random.Random) -> None:
        self._kinds: queue.SimpleQueue[str] = queue.SimpleQueue()
        names = list(LABELLING)
        # Half of them, and in a short storm still each name once.
        armed = max(kills // 2, min(kills, len(names)))
        kinds = [names[n % len(names)] if n < armed else RANDOM for n in range(kills)]
        chance.shuffle(kinds)
        for kind in kinds:
            self._kinds.put(kind)
        self.files_per_kill = max(1, round(files / max(kills, 1)))

    def next_kind(self) -> str | None:
        """A failpoint's name or RANDOM; None when the storm is over."""
        try:
            return self._kinds.get_nowait()
        except queue.Empty:
            return None

    def again(self, kind: str) -> None:
        """The daemon did not come to its failpoint: try later."""
        self._kinds.put(kind)


def storm(site: Site, plan: Plan, figures: Figures, tell: Callable[[], None]) -> None:
    """Kill after kill until the plan is done."""
    number = files = 0
    while (kind := plan.next_kind()) is not None:
        site.export.open_folder(number)
        number += 1
        # What the last life was too short for comes now.
        files += plan.files_per_kill
        half = files - plan.files_per_kill // 2
        for _ in range(half - len(site.export.fates)):
            site.export.grow()
        if not _Life(site, kind, figures).end(files - half):
            figures.missed[kind] += 1
            plan.again(kind)
        tell()


def drain(site: Site, figures: Figures) -> None:
    """Label what is left and look at everything."""
    site.export.finish()
    begun_s = time.monotonic()
    process = site.start("once")
    try:
        exit_code = process.wait(DRAIN_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        exit_code = process.wait()
    figures.drain_s.append(time.monotonic() - begun_s)
    if exit_code:
        figures.problems.append(f"once ended with {exit_code}: {site.closing_lines()}")
    journal = site.folder / "state" / "journal.sqlite3"
    figures.problems += final_problems(site.export, site.results, journal)
    if b"IMG" in site.log_path.read_bytes():
        figures.problems.append("the log names an image")
    figures.files += len(site.export.fates)
    figures.versions += site.export.versions


class _Life:
    """One daemon from its start to its kill."""

    def __init__(self, site: Site, kind: str, figures: Figures) -> None:
        self._site = site
        self._kind = kind
        self._chance = site.chance
        self._figures = figures
        self._is_armed = kind != RANDOM
        if kind == "startup.log_key_written":
            # It is written at the first start only.
            (site.folder / "state" / "log.key").unlink(missing_ok=True)
        armed = f"{kind}=kill@{site.chance.randint(1, _passes(kind))}" if self._is_armed else ""
        self._process = site.start("run", armed)
        self._begun_s = time.monotonic()

    def end(self, files: int) -> bool:
        """Let the export grow, and kill; False where an armed point was not met."""
        kill_s = self._first_kill_s()
        next_file_s = self._begun_s
        is_ready = False
        while self._process.poll() is None and (now_s := time.monotonic()) < kill_s:
            if not is_ready and self._site.has_said("READY=1"):
                is_ready = True
                self._figures.start_s.append(now_s - self._begun_s)
                kill_s = min(kill_s, self._ready(now_s))
            # An armed daemon gets files until it meets its point.
            if now_s >= next_file_s and (files > 0 or (self._is_armed and is_ready)):
                self._site.export.grow()
                files -= 1
                next_file_s = now_s + START_S / max(files, 20)
            time.sleep(0.002)
        return self._bury()

    def _first_kill_s(self) -> float:
        """When it is killed at the latest, ready or not: one in five before it is."""
        if self._kind == RANDOM and self._chance.random() < 0.2:
            return self._begun_s + self._chance.uniform(0.0, START_S)
        return self._begun_s + ARMED_LIMIT_S

    def _ready(self, now_s: float) -> float:
        if self._kind.startswith("shutdown."):
            self._process.send_signal(signal.SIGTERM)
        return now_s + (ARMED_LIMIT_S if self._is_armed else self._chance.uniform(0.0, WORK_S))

    def _bury(self) -> bool:
        met = self._process.poll()
        if met is None:
            self._process.kill()
            self._process.wait()
        elif met != -signal.SIGKILL:
            words = self._site.closing_lines()
            self._figures.problems.append(f"{self._kind}: ended with {met}: {words}")
        was_met = met is not None or not self._is_armed
        self._figures.kills[self._kind if was_met else RANDOM] += 1
        return was_met


def _passes(name: str) -> int:
    """The last pass at which a daemon may be killed there; it comes so often and more."""
    if name.startswith(("startup.", "shutdown.", "hint.", "settle.", "scan.", "folder.")):
        return 1
    # The first passes through these belong to the start, which writes files and reads images too.
    is_of_each_image = name.startswith(("image.", "file.")) and "folder" not in name
    return 16 if is_of_each_image else 6


def run_storm(arguments: argparse.Namespace, tell: Callable[[str], None]) -> Figures:
    """The whole storm; its figures hold what was found."""
    begun_s = time.monotonic()
    figures = Figures()
    chance = random.Random(arguments.seed)  # noqa: S311 - a repeatable choice of moments
    plan = Plan(arguments.kills, arguments.files, chance)
    lock = threading.Lock()

    def progress() -> None:
        with lock:
            done = figures.kills.total()
            if done % max(1, arguments.kills // 20) == 0:
                seconds = time.monotonic() - begun_s
                tell(f"{done} kills, {len(figures.problems)} violations, {seconds:.0f} s")

    def work(number: int) -> None:
        own = random.Random(arguments.seed * 1000 + number)  # noqa: S311 - as above
        site = Site(folder / str(number), bundle, own)
        try:
            with Observer(site.export, site.results, random.Random(number)) as observer:  # noqa: S311
                storm(site, plan, figures, progress)
                drain(site, figures)
        finally:
            site.close()
        figures.problems += observer.problems
        figures.reads += observer.reads

    with tempfile.TemporaryDirectory(prefix=".storm-", dir=arguments.output) as scratch:
        folder = Path(scratch)
        bundle = arguments.bundle or write_small_bundle(folder / "colours.edge", colour_jpeg)
        with ThreadPoolExecutor(arguments.workers) as pool:
            for worker in [pool.submit(work, number) for number in range(arguments.workers)]:
                worker.result()
    figures.seconds = time.monotonic() - begun_s
    return figures


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.campaigns.storm", description=__doc__)
    made.add_argument("--bundle", type=Path, help="of the classes red, green, blue; default: made")
    made.add_argument("--kills", type=int, default=1000)
    made.add_argument("--files", type=int, default=50_000)
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--json", type=Path, help="write the figures to this file")
    made.add_argument("--output", type=Path, help="folder for the scratch files")
    return made


def main() -> int:
    arguments = parser().parse_args()
    figures = run_storm(arguments, lambda line: print(line, flush=True))  # noqa: T201
    for problem in figures.problems[:50]:
        print(f"error: {problem}")  # noqa: T201
    text = json.dumps(figures.to_dict(), indent=1)
    print(text)  # noqa: T201
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 1 if figures.problems else 0
