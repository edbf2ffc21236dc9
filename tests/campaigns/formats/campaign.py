"""Simulated slides through every format: read back by all judges, and timed.

    python -m tests.campaigns.formats [--slides 1000] [--seed 8] [--slow 100] [--speed]

Each slide has its revisions: first cells, late ones, a verdict, a correction. Ends with 1 if a
judge refuses a good result or reads another value, if a correction does not replace the value in
OpenELIS' staging, if a planted fault passes, or if two processes write fewer than 200 slides a
second, each with its last result in all formats: by the processor time of the slower one, as other
work may run. `--speed` measures that alone.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool

from edge.results.document.result import SlideResult, State
from edge.results.formats.format import Format
from edge.results.formats.shipped.table import FORMATS
from tests.campaigns.formats.corrections import lost_corrections
from tests.campaigns.formats.judges import JUDGES
from tests.campaigns.formats.planted import planted_faults
from tests.campaigns.formats.reading import CONTEXT, expected, wrong_readings
from tests.support.slides import simulated_results

_PROCESSES = 2
_NEEDED_PER_S = 200
_NEEDED_FAULTS = 60


@dataclass(frozen=True, slots=True)
class Written:
    """What one format made of the results that it carries."""

    results: list[SlideResult]
    contents: list[bytes]
    seconds: float


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--slow", type=int, default=100, help="results for slow judges")
    parser.add_argument("--speed", action="store_true", help="time two processes, no more")
    arguments = parser.parse_args()
    is_fast = print_rates(arguments.slides, arguments.seed)
    if arguments.speed:
        return 0 if is_fast else 1
    results = list(simulated_results(arguments.slides, arguments.seed))
    started_s = time.perf_counter()
    written = {one.name: write_all(one, results) for one in FORMATS.values()}
    taken_s = time.perf_counter() - started_s
    say(f"{arguments.slides} slides, {len(results)} results with all revisions")
    say(f"written in {taken_s:.1f} s by the clock; below, processor time\n")
    print_speed(written)
    wrong = sum(print_readings(name, one, arguments.slow) for name, one in written.items())
    wrong += print_corrections(written["openelis"].results)
    passed = print_faults()
    say(f"\n{wrong} good results refused or read otherwise, {passed} planted faults passed")
    return 0 if is_fast and not wrong and not passed else 1


def write_all(form: Format, results: Sequence[SlideResult]) -> Written:
    """Write what the format carries; only the writing is timed, with the look for a misfit."""
    kept, contents = [], []
    started_s = time.process_time()
    for result in results:
        if form.misfit(result, CONTEXT) is None:
            kept.append(result)
            contents.append(form.write(result, CONTEXT))
    return Written(kept, contents, time.process_time() - started_s)


def print_rates(slides: int, seed: int) -> bool:
    """How many slides and results a second two processes write; whether that is fast enough."""
    with Pool(_PROCESSES) as pool:
        halves = pool.map(partial(time_part, slides, seed), range(_PROCESSES))
    done = [sum(one.results[kind] for one in halves) for kind in range(2)]
    taken = [max(one.seconds[kind] for one in halves) for kind in range(2)]
    wall = [max(one.wall_s[kind] for one in halves) for kind in range(2)]
    for kind, what in enumerate(("last results of slides", "results with all revisions")):
        say(
            f"{_PROCESSES} processes, {done[kind]} {what}, all formats: "
            f"{done[kind] / taken[kind]:.0f}/s by processor time, "
            f"{done[kind] / wall[kind]:.0f}/s by the clock; load {os.getloadavg()[0]:.1f}"
        )
    return done[0] / taken[0] >= _NEEDED_PER_S


@dataclass(frozen=True, slots=True)
class Part:
    """What one process wrote: of the last results of slides, and of all."""

    results: tuple[int, int]
    seconds: tuple[float, float]
    wall_s: tuple[float, float]


def time_part(slides: int, seed: int, part: int) -> Part:
    """Write every second result in all formats."""
    results = list(simulated_results(slides, seed))
    last = list({one.slide_key: one for one in results}.values())
    counts, seconds, wall_s = [], [], []
    for chosen in (last[part::_PROCESSES], results[part::_PROCESSES]):
        began_s = time.perf_counter()
        seconds.append(sum(write_all(one, chosen).seconds for one in FORMATS.values()))
        wall_s.append(time.perf_counter() - began_s)
        counts.append(len(chosen))
    return Part((counts[0], counts[1]), (seconds[0], seconds[1]), (wall_s[0], wall_s[1]))


def print_speed(written: dict[str, Written]) -> None:
    """How long the writing took, by format."""
    total_s = sum(one.seconds for one in written.values())
    say(f"{'written':16}{'results':>9}{'held':>7}{'bytes':>9}{'ms each':>10}{'share':>8}")
    most = max(len(one.results) for one in written.values())
    for name, one in written.items():
        count = len(one.results)
        size = sum(map(len, one.contents)) // count
        say(
            f"{name:16}{count:9}{most - count:7}{size:9}"
            f"{1e3 * one.seconds / count:10.2f}{one.seconds / total_s:8.0%}"
        )
    say(f"all formats, one process: {most / total_s:.0f} results/s\n")


def print_readings(name: str, written: Written, slow: int) -> int:
    """What each judge of a format read; how often it was wrong."""
    count = 0
    for judge in JUDGES[name]:
        end = slow if judge.is_slow else len(written.results)
        wanted = [
            expected(one, with_platelets=judge.reads_platelets) for one in written.results[:end]
        ]
        wrong = list(wrong_readings(judge, wanted, written.contents[:end]))
        values = sum(len(one.values) for one in wanted) if judge.reads_values else 0
        what = f"{values} values" if values else "structure and rules"
        say(f"{name:16}{judge.name:32}{len(wanted):6} read {what:20}{len(wrong):4} wrong")
        for line in wrong[:3]:
            say(f"    {line[:200]}")
        count += len(wrong)
    return count


def print_corrections(results: Sequence[SlideResult]) -> int:
    """How many values of corrections the staging of OpenELIS (a model) does not show last."""
    corrected = [one for one in results if one.state is State.CORRECTED]
    lost = lost_corrections(results)
    say(f"{'openelis':16}{'staging (model)':32}{len(corrected):6} {'corrections':25}{lost:4} lost")
    return lost


def print_faults() -> int:
    """Planted faults by format, and how many passed all judges."""
    say(f"\n{'planted faults':16}{'planted':>9}{'refused':>9}")
    planted = passed = 0
    for name, outcomes in planted_faults().items():
        missed = [fault for fault, is_refused in outcomes.items() if not is_refused]
        planted, passed = planted + len(outcomes), passed + len(missed)
        say(f"{name:16}{len(outcomes):9}{len(outcomes) - len(missed):9}")
        for fault in missed:
            say(f"    passed: {fault}")
    say(f"{'all':16}{planted:9}{planted - passed:9}")
    return passed if planted >= _NEEDED_FAULTS else _NEEDED_FAULTS


def say(line: str) -> None:
    """At once, as the judges take minutes."""
    print(line, flush=True)  # noqa: T201
