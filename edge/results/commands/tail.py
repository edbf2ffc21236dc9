"""`edge-results tail`: follows new sidecars until Ctrl-C."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edge.command.values import whole_number
from edge.results.commands.cell_lines import cell_json, outcome_text
from edge.results.commands.command import Command, Show
from edge.results.commands.reading import add_path, tell
from edge.results.reading.follow import Follower
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.tree import require_folder

_PAUSE_S: Final = 0.5
# A look at a very large tree takes long; a tenth of the time is spent on looking at the most.
_PAUSE_PER_LOOK: Final = 9.0


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    text = "begin with the N sidecars that were written last (10)"
    parser.add_argument(
        "-n", type=whole_number(0), default=10, metavar="N", dest="count", help=text
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON for each cell")


def _run(arguments: argparse.Namespace, show: Show) -> int:
    require_folder(arguments.path)
    line = cell_json if arguments.json else _line
    follower = Follower(arguments.path, tell)
    # Ctrl-C is its only end, so no error.
    with suppress(KeyboardInterrupt):
        _show_look(lambda: follower.newest(arguments.count), line, show)
        while True:
            _show_look(follower.new, line, show)
    return 0


def _show_look(
    look: Callable[[], list[SidecarCell]], line: Callable[[SidecarCell], str], show: Show
) -> None:
    started_s = time.monotonic()
    for cell in look():
        show(line(cell))
    time.sleep(max(_PAUSE_S, _PAUSE_PER_LOOK * (time.monotonic() - started_s)))


def _line(cell: SidecarCell) -> str:
    confidence = "" if cell.confidence is None else f" {cell.confidence:.3f}"
    return f"{cell.created:%H:%M:%S} {cell.image} {outcome_text(cell)}{confidence}"


TAIL = Command(_add_options, _run)
