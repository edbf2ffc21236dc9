"""`edge-results cells`: the cells below a folder, if asked to with the least certain first."""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Iterable, Iterator
from itertools import islice

from edge.command.values import whole_number
from edge.errors import ConfigError
from edge.results.commands.cell_lines import HEADING, best_class, cell_json, cell_row
from edge.results.commands.command import Command, Show
from edge.results.commands.reading import add_path, cells_in
from edge.results.reading.sidecar_cell import SidecarCell
from edge.status import Status
from edge.text.text_table import text_table


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    text = "the least certain first; images without a confidence come last"
    parser.add_argument("--unsure", action="store_true", help=text)
    text = "only cells of this class; unidentified ones whose most probable class it is, too"
    parser.add_argument("--class", dest="class_", metavar="NAME", help=text)
    text = "only this status; may be repeated"
    parser.add_argument("--status", action="append", choices=[*map(str, Status)], help=text)
    parser.add_argument("--limit", type=whole_number(1), metavar="N", help="at most N cells")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each cell")


def _run(arguments: argparse.Namespace, show: Show) -> int:
    classes: set[str] = set()
    chosen: Iterable[SidecarCell] = _chosen(arguments, classes)
    if arguments.unsure and arguments.limit is None:
        chosen = sorted(chosen, key=_certainty)
    elif arguments.unsure:
        # Keeps the limit's number of cells, not all.
        chosen = heapq.nsmallest(arguments.limit, chosen, key=_certainty)
    else:
        chosen = islice(chosen, arguments.limit)
    if arguments.json:
        found = 0
        for found, cell in enumerate(chosen, 1):  # noqa: B007 - counts them as well
            show(cell_json(cell))
    else:
        rows = [cell_row(cell) for cell in chosen]
        found = len(rows)
        if rows:
            show(text_table([HEADING, *rows], right=(0,)))
    if not found:
        _require_class(arguments.class_, classes)
        show("no such cells") if not arguments.json else None
    return 0


def _chosen(arguments: argparse.Namespace, classes: set[str]) -> Iterator[SidecarCell]:
    for cell in cells_in(arguments.path):
        classes.update(cell.probabilities)
        is_of_status = not arguments.status or cell.status in arguments.status
        if is_of_status and arguments.class_ in (None, best_class(cell)):
            yield cell


def _require_class(name: str | None, classes: set[str]) -> None:
    if name is not None and classes and name not in classes:
        known = ", ".join(sorted(classes))
        raise ConfigError(f"no cell's model has a class {name!r}. Known: {known}.")


def _certainty(cell: SidecarCell) -> float:
    return math.inf if cell.confidence is None else cell.confidence


CELLS = Command(_add_options, _run)
