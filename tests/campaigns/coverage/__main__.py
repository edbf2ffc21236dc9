"""How often the intervals of a differential hold the true share, in simulated slides.

    python -m tests.campaigns.coverage [--slides 1000] [--cells 200] [--chains 8] [--seen none]

Six mixes and three validation sizes; each slide has its own validation, drawn from the same errors.
`--seen doubtful` has a person look at all cells that are unidentified or called immature.
`--patients 50` draws each slide's shares about the mix, by a Dirichlet distribution of that
concentration, and `--models` each slide's errors from what its validation leaves possible. Writes a
row for each mix and size: the share of slides, in percent, whose interval with the model's errors
holds the true share of each class, of both kinds of interval. 95 % of 1,000 slides are known to
+-1.4 points. Exits with 1 where a class is below 93 %.

`--attainable` writes which coverages are possible at all for a fixed share, and simulates nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.results.differential.differential import differential
from edge.results.differential.gibbs import Length
from tests.campaigns.coverage.attainable import Attainable, with_known_errors, without_errors
from tests.campaigns.coverage.judging import KINDS, judge_all
from tests.campaigns.coverage.slides import MIXES, NAMES, Scene, simulate

LOWEST: Final = 93.0
HIGHEST: Final = 97.0
SIZES: Final = (50, 200, 1000)


def write(name: str, kind: str, values: Iterable[float]) -> None:
    """A line of the table."""
    sys.stdout.write(f"{name:20}  {kind:12}{''.join(f'{one:13.1f}' for one in values)}\n")
    sys.stdout.flush()


def write_covers(scenes: list[Scene], arguments: argparse.Namespace) -> NDArray[np.float64]:
    """The table; what it says of the interval with the model's errors (scenes, classes)."""
    covers = []
    for scene, judged in judge_all(scenes, arguments.slides, arguments.chains, arguments.processes):
        for kind in KINDS:
            write(f"{scene.mix}, {scene.size}", kind, judged.cover(kind))
        write("", "width", judged.width("with_errors"))
        covers.append(judged.cover("with_errors"))
    return np.array(covers)


def write_attainable(scenes: list[Scene]) -> None:
    """Coverages that are possible for a fixed share."""
    for title, find in (("never errs", without_errors), ("errors known", with_known_errors)):
        found: list[Attainable] = []
        for scene in scenes:
            of_scene = find(scene)
            write(f"{scene.mix}", "cells", (one.expected for one in of_scene))
            write(title, "balanced", (one.balanced for one in of_scene))
            write("", "nearest", (one.nearest for one in of_scene))
            found += of_scene
        balanced = sum(LOWEST <= one.balanced <= HIGHEST for one in found)
        nearest = sum(LOWEST <= one.nearest <= HIGHEST for one in found)
        sys.stdout.write(
            f"{title}: of {len(found)} classes of a mix, {nearest} could be from {LOWEST:g} to "
            f"{HIGHEST:g} %, {balanced} with at most 2.5 % out on each side\n"
        )


def time_slides(cells: int) -> str:
    """How long a differential with both intervals takes here, in one process."""
    rng = np.random.default_rng(cells)
    slides = [simulate(Scene("normal", 200, cells), rng) for _ in range(40)]
    took = []
    for number, slide in enumerate(slides):
        started = time.perf_counter(), time.process_time()
        differential(slide.cells, rejected=0, seed=str(number), errors=slide.errors)
        took.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    (wall, cpu), (slow, _) = (1000 * np.quantile(took, share, axis=0) for share in (0.5, 0.95))
    return (
        f"{cells:,} cells: median {wall:.0f} ms a slide, {cpu:.0f} ms of processor time, "
        f"95th percentile {slow:.0f} ms\n"
    )


def read_arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--chains", type=int, default=Length().chains)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seen", choices=("none", "doubtful"), default="none")
    parser.add_argument("--patients", type=float, help="concentration of the shares")
    parser.add_argument("--models", action="store_true", help="each slide has its own errors")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--mixes", choices=MIXES, nargs="+", default=list(MIXES))
    parser.add_argument("--attainable", action="store_true", help="simulate nothing")
    parser.add_argument("--time", action="store_true", help="time slides, and nothing else")
    return parser.parse_args()


def main() -> int:
    """Simulate and write the table; 1 where a class is covered too seldom."""
    arguments = read_arguments()
    if arguments.time:
        sys.stdout.writelines(time_slides(cells) for cells in (200, 10_000))
        return 0
    sys.stdout.write(f"{'mix and images':20}  {'':12}{''.join(f'{n:>13}' for n in NAMES)}\n")
    if arguments.attainable:
        write_attainable([Scene(mix, 0, arguments.cells) for mix in arguments.mixes])
        return 0
    scenes = [
        Scene(
            mix, size, arguments.cells, arguments.seen, arguments.patients, models=arguments.models
        )
        for mix in arguments.mixes
        for size in arguments.sizes
    ]
    found = write_covers(scenes, arguments)
    write("mean", "with_errors", found.mean(axis=0))
    below, above = np.sum(found < LOWEST), np.sum(found > HIGHEST)
    sys.stdout.write(
        f"with_errors: {found.min():.1f} to {found.max():.1f} %, mean {found.mean():.1f} %; of "
        f"{found.size} covers, {below} are below {LOWEST:g} % and {above} above {HIGHEST:g} %\n"
    )
    return int(found.min() < LOWEST)


if __name__ == "__main__":
    sys.exit(main())
