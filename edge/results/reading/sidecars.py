"""Reads the JSON sidecars below a folder, in two processes if there are many."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from edge.results.reading.cell_file import SUFFIX, Item, read_items
from edge.results.reading.helper import Helper, Slice
from edge.results.reading.problem import OnProblem, Problem, log_problem
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.tree import Tally, require_folder, walk

# A second process takes 0.2 s to start, in which one reads about so many sidecars.
HELPER_AFTER: Final = 2000
# Sidecars that a process reads at a time, and slices that wait for the helper's answers at most.
_SLICE: Final = 200
_MOST_WAITING: Final = 16


def read_sidecars(
    path: Path, on_problem: OnProblem = log_problem, *, tally: Tally | None = None
) -> Iterator[SidecarCell]:
    """Every sidecar below a folder, by folder, then by name.

    The folder is one that holds images with their sidecars, or a results tree. Links are not
    followed. A bad file stops nothing: it is reported and left out.

    Args:
        path: the folder.
        on_problem: called once for each file that is no usable sidecar, and for each folder that
            cannot be read.
        tally: counts all entries, as they are passed.

    Raises:
        ConfigError: there is no such folder; raised at once.
        StorageError: the folder cannot be read.
    """
    require_folder(path)
    return _read(path, on_problem, tally if tally is not None else Tally())


def _read(path: Path, on_problem: OnProblem, tally: Tally) -> Iterator[SidecarCell]:
    for items in _items(path, on_problem, tally):
        for item in items:
            if isinstance(item, SidecarCell):
                tally.cells += 1
                yield item
            elif isinstance(item, Problem):
                tally.problems += 1
                on_problem(item)
            else:
                setattr(tally, item, getattr(tally, item) + 1)


def _items(path: Path, on_problem: OnProblem, tally: Tally) -> Iterator[list[Item]]:
    """The items of each slice, in order, read here or by the helper."""
    helper: Helper | None = None
    # Those before the first that the helper has not answered are given on at once.
    waiting: deque[list[Item] | Slice] = deque()
    number = 0
    with ExitStack() as opened:
        for listing in walk(path, on_problem, tally):
            names = [name for name in listing.files if name.endswith(SUFFIX)]
            tally.others += len(listing.files) - len(names)
            for first in range(0, len(names), _SLICE):
                one = Slice(listing.parts, tuple(names[first : first + _SLICE]))
                number += len(one.names)
                if helper is None and number > HELPER_AFTER and _processors() > 1:
                    helper = opened.enter_context(Helper(path))
                if helper and helper.takes(one):
                    waiting.append(one)
                else:
                    waiting.append(read_items(listing, one.names))
                yield from _answered(waiting, helper, most=_MOST_WAITING)
        yield from _answered(waiting, helper, most=0)


def _answered(
    waiting: deque[list[Item] | Slice], helper: Helper | None, *, most: int
) -> Iterator[list[Item]]:
    while waiting:
        first = waiting[0]
        if not isinstance(first, Slice):
            yield first
        elif helper and (len(waiting) > most or helper.has_answer()):
            yield helper.answer(first)
        else:
            return
        waiting.popleft()


def _processors() -> int:
    return len(os.sched_getaffinity(0))
