"""Which coverage an interval could have, since a count of cells is a whole number.

Of a class with 2 cells expected among 200, one count more or less inside of the interval is a step
of up to 27 points: no interval comes near 95 % for such a share, however it is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from edge.results.document.result import ERYTHROBLAST, LEUKOCYTES
from tests.campaigns.coverage.slides import NAMES, Scene, error_rates

_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Attainable:
    """Percent of slides of one class in one scene, exactly, by the binomial distribution.

    Attributes:
        expected: number of cells.
        balanced: of the narrowest range of counts that leaves at most 2.5 % out on each side.
        nearest: of all ranges of counts, the coverage that is nearest to 95 %.
    """

    expected: float
    balanced: float
    nearest: float


def without_errors(scene: Scene) -> list[Attainable]:
    """By class, of a model that never errs; the number of leukocytes is the expected one."""
    found = []
    for place, name in enumerate(NAMES):
        of = len(NAMES) if name == ERYTHROBLAST else len(LEUKOCYTES)
        total = float(scene.shares[:of].sum())
        found.append(_attainable(round(scene.cells * total), float(scene.shares[place]) / total))
    return found


def with_known_errors(scene: Scene) -> list[Attainable]:
    """By class, from its number of labels, if the rates of the model's errors were known."""
    labels = scene.shares @ error_rates()
    return [_attainable(scene.cells, float(labels[place])) for place in range(len(NAMES))]


def _attainable(cells: int, share: float) -> Attainable:
    # P(count <= i), and before it 0.
    below = np.concatenate([[0.0], np.cumsum(_binomial(cells, share))])
    first = int(np.searchsorted(below[1:], _TAIL, side="right"))
    last = int(np.searchsorted(below[1:], 1 - _TAIL))
    # Of all ranges, from each first to each last count.
    ranges = below[np.newaxis, 1:] - below[:-1, np.newaxis]
    nearest = ranges.flat[int(np.abs(ranges - (1 - 2 * _TAIL)).argmin())]
    return Attainable(
        expected=cells * share,
        balanced=100 * float(below[last + 1] - below[first]),
        nearest=100 * float(nearest),
    )


def _binomial(cells: int, share: float) -> NDArray[np.float64]:
    counts = np.arange(cells + 1)
    ways = [lgamma(cells + 1) - lgamma(n + 1) - lgamma(cells - n + 1) for n in range(cells + 1)]
    return np.asarray(
        np.exp(np.array(ways) + counts * np.log(share) + (cells - counts) * np.log1p(-share))
    )
