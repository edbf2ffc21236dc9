"""Both intervals of simulated slides, and whether they hold the truth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.command.progress import Progress
from edge.results.differential.differential import differential
from edge.results.differential.gibbs import Labelled, Length, sample_true_counts
from edge.results.differential.true_shares import counted, known_share, share_limits
from edge.results.document.result import ClassResult, Erythroblasts
from tests.campaigns.coverage.slides import MIXES, NAMES, Scene, simulate

KINDS: Final = ("sampling", "with_errors")
# Slides of one call of the sampler.
AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """Slides of one scene, in percent.

    Attributes:
        truth: (slides, classes).
        limits: by kind of interval (slides, classes, 2).
    """

    truth: NDArray[np.float64]
    limits: dict[str, NDArray[np.float64]]

    def cover(self, kind: str) -> NDArray[np.float64]:
        """Percent of the slides whose interval holds the truth, by class.

        Limits of a differential are rounded to a hundredth.
        """
        low, high = np.moveaxis(self.limits[kind], -1, 0)
        holds = (low <= self.truth + 0.005) & (self.truth - 0.005 <= high)
        return np.asarray(100 * holds.mean(axis=0), np.float64)

    def width(self, kind: str) -> NDArray[np.float64]:
        """Median width of the intervals, by class."""
        low, high = np.moveaxis(self.limits[kind], -1, 0)
        return np.asarray(np.median(high - low, axis=0), np.float64)


def judge_all(
    scenes: list[Scene], slides: int, chains: int, processes: int
) -> Iterator[tuple[Scene, Judged]]:
    """All slides of each scene."""
    starts = range(0, slides, AT_ONCE)
    parts = [range(start, min(start + AT_ONCE, slides)) for start in starts]
    with Pool(processes) as pool, Progress("slides", sys.stderr) as progress:
        for place, scene in enumerate(scenes):
            found = []
            for judged in pool.imap(partial(judge, scene, chains), parts):
                found.append(judged)
                done = place * slides + min(len(found) * AT_ONCE, slides)
                progress.update(done, len(scenes) * slides)
            truth = np.concatenate([judged.truth for judged in found])
            limits = {
                kind: np.concatenate([judged.limits[kind] for judged in found]) for kind in KINDS
            }
            yield scene, Judged(truth, limits)


def judge(scene: Scene, chains: int, numbers: range) -> Judged:
    """Simulate slides, each with its own validation, and compute their intervals."""
    rng = np.random.default_rng([numbers.start, scene.size, list(MIXES).index(scene.mix)])
    slides = [simulate(scene, rng) for _ in numbers]
    sampling = [
        [*map(_limits_of, found.classes), _limits_of(found.erythroblasts)]
        for found in (differential(slide.cells, rejected=0, seed="") for slide in slides)
    ]
    counts = [counted(slide.cells, slide.errors) for slide in slides]
    # All chains of all slides at once: the product's sampler, without its overhead for one slide.
    together = Labelled(
        *(
            np.repeat(np.array([getattr(one, name) for one in counts]), chains, axis=0)
            for name in ("unseen", "known", "validated")
        )
    )
    length = Length(chains=len(together.known))
    drawn = sample_true_counts(together, rng, length).reshape(
        -1, len(slides), chains, len(NAMES) + 1
    )
    with_errors = [
        share_limits(drawn[:, place].reshape(-1, len(NAMES) + 1), known_share(one), rng)
        for place, one in enumerate(counts)
    ]
    limits = np.array(sampling), 100 * np.moveaxis(np.array(with_errors), 1, 2)
    return Judged(np.array([one.truth for one in slides]), dict(zip(KINDS, limits, strict=True)))


def _limits_of(part: ClassResult | Erythroblasts) -> tuple[float, float]:
    """Of an interval of sampling; of nothing, where there is no leukocyte."""
    interval = part.sampling
    return (interval.low, interval.high) if interval else (0.0, 100.0)
