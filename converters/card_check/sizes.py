"""Finds input sizes under which the images fit better than under the card's.

A network with global average pooling runs at any size, but labels worse at a wrong one. The fit
rises up to the best size and falls beyond it. So if the images are recognised at the card's size,
the search stops where the fit falls; otherwise it tries all sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from converters.card_check.evaluator import SpecEvaluator
from converters.card_check.fit import Fit, is_clearly_better
from converters.loading.graph_file.size_search import SIDES
from edge.backends.onnx import RUNTIME_ERRORS
from edge.preprocess import InputSpec

# Limit of the factor between a tried side and the card's. A larger one takes over a dozen times as
# long, and is no likely mistake.
_MOST_TIMES: Final = 3.5
# After this many worse sizes in a row, sizes further away are not tried.
_WORSE_IN_A_ROW: Final = 2
# The smallest ratio of sides at which a network can tell an oblong size from a square one.
_OBLONG: Final = 1.15

OnSize = Callable[[int], None]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class BetterSize:
    """A size (height, width) under which the images fit better, and its fit."""

    size: Size
    fit: Fit


def better_sizes(
    evaluator: SpecEvaluator, found: Fit, spec: InputSpec, on_size: OnSize
) -> list[BetterSize]:
    """The sizes under which the images fit better than `found`, the fit under the card's.

    Oblong sizes are included only if they fit clearly better than every square one.

    Args:
        evaluator: evaluates the network, which accepts any size, or raises if it cannot run at one.
        on_size: called with the number of sizes that were tried.
    """
    search = _Search(evaluator, found, spec, on_size)
    height, width = spec.height, spec.width
    turned = {(height, height), (width, width), (width, height)} - {(height, width)}
    better = [b for size in sorted(turned) if (b := search.fit(size)) is not None]
    middle = math.sqrt(height * width)
    near = [side for side in SIDES if middle / _MOST_TIMES <= side <= middle * _MOST_TIMES]
    better += search.outward([side for side in near if side > middle])
    better += search.outward([side for side in reversed(near) if side < middle])
    best = max(better, key=lambda b: b.fit.share.mean(), default=None)
    rival = best.fit if best else found
    oblongs = (search.fit(size) for size in _oblongs(best.size if best else (height, width)))
    better += [b for b in oblongs if b is not None and is_clearly_better(b.fit, rival)]
    return better


class _Search:
    """Tries sizes, each once."""

    def __init__(
        self, evaluator: SpecEvaluator, found: Fit, spec: InputSpec, on_size: OnSize
    ) -> None:
        self._evaluator, self._found, self._spec, self._on_size = evaluator, found, spec, on_size
        self._tried: set[Size] = {(spec.height, spec.width)}
        self._is_worse = False

    def outward(self, sides: Iterable[int]) -> list[BetterSize]:
        """The square sizes that fit better; `sides` go from the card's size outwards."""
        better: list[BetterSize] = []
        worse_in_a_row = 0
        for side in sides:
            found = self.fit((side, side))
            if found is not None:
                better.append(found)
                worse_in_a_row = 0
            elif self._is_worse:
                worse_in_a_row += 1
            if self._found.is_recognised and worse_in_a_row == _WORSE_IN_A_ROW:
                break
        return better

    def fit(self, size: Size) -> BetterSize | None:
        """The fit under a size; None if not better, tried before, or the network cannot run."""
        self._is_worse = False
        if size in self._tried:
            return None
        self._tried.add(size)
        self._on_size(len(self._tried) - 1)
        other = replace(self._spec, height=size[0], width=size[1])
        try:
            fit = self._evaluator.fit_if_better(other, self._found)
        except RUNTIME_ERRORS:
            return None
        self._is_worse = fit is None
        return None if fit is None else BetterSize(size, fit)


def _oblongs(size: Size) -> list[Size]:
    """The nearest oblong neighbours of a square size; none of an oblong one."""
    height, width = size
    if height != width:
        return []
    larger = [side for side in SIDES if side >= height * _OBLONG][:1]
    smaller = [side for side in SIDES if side * _OBLONG <= height][-1:]
    return [pair for side in (*larger, *smaller) for pair in ((height, side), (side, height))]
