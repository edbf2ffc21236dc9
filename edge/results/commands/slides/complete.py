"""`edge-results complete`: an operator's word that no more cells of a slide will come."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Final

from edge.command.values import one_line
from edge.errors import ConfigError
from edge.results.commands.command import Command, Show
from edge.results.commands.slides.options import add_slide_options, look_of, open_issued, report_of
from edge.results.document.result import slide_key
from edge.text.counted import counted


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_slide_options(parser)
    parser.add_argument("--sample", required=True, metavar="ID", help="sample id of the slide")
    parser.add_argument("--slide", metavar="ID", help="slide id, if it has one")
    parser.add_argument("--by", type=one_line, required=True, metavar="NAME", help="who says it")


def _run(arguments: argparse.Namespace, show: Show) -> int:
    look = look_of(arguments)
    if look.state is None:
        raise ConfigError(
            "there are no issued results to note it in; give --config or the --state of "
            "edge-results send, which makes them at its first start."
        )
    key = slide_key(arguments.sample, arguments.slide)
    # A mistyped id would be a word about a slide that comes later.
    waiting = {one.so_far.slide_key: one for one in report_of(look).incomplete}
    if key not in waiting:
        raise ConfigError(
            "no slide of these ids is incomplete; see edge-results show for those that are."
        )
    with open_issued(look.state) as issued:
        issued.say_complete(key, by=arguments.by, at=datetime.now(UTC))
    cells = counted(len(waiting[key].so_far.cells), "cell")
    show(f"complete with {cells}, said {arguments.by}; it waited for {waiting[key].reason}")
    return 0


COMPLETE: Final = Command(_add_options, _run)
