"""From sidecars to slides, differentials, and files and messages for a LIS."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final

from edge.command.parser import CommandParser, add_common_options
from edge.command.run import run_command
from edge.results.commands.command import Command
from edge.text.printable import printable_lines

# Module below `edge.results.commands`, and name in it, of each command; in the order of the help.
# Only the one that is asked for is imported: all start sooner, and a review page that runs for days
# keeps no other one in memory.
_PLACES: Final = {
    "show": ("slides.show", "SHOW"),
    "complete": ("slides.complete", "COMPLETE"),
    "cells": ("cells", "CELLS"),
    "tail": ("tail", "TAIL"),
    "verify": ("verify", "VERIFY"),
    "export": ("export", "EXPORT"),
    "review": ("review.review", "REVIEW"),
    "send": ("send", "SEND"),
    "audit": ("review.audit", "AUDIT"),
    "codes": ("codes", "CODES"),
    "openelis-profile": ("openelis_profile", "OPENELIS_PROFILE"),
    "install": ("install", "install_command"),
    "uninstall": ("install", "UNINSTALL"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `edge.errors`)."""
    words = sys.argv[1:] if argv is None else argv
    asked = next((word for word in words if not word.startswith("-")), "")
    arguments = build_parser([asked] if asked in _PLACES else _PLACES).parse_args(words)
    chosen: Command = arguments.command
    return run_command(
        lambda: chosen.run(arguments, _show),
        debug=arguments.debug,
        is_private=True,
        tidies_up=True,
    )


def build_parser(names: Iterable[str] = _PLACES) -> CommandParser:
    """The parser of `edge-results` and of these subcommands."""
    parser = CommandParser(prog="edge-results", description=__doc__)
    add_common_options(parser)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in names:
        command = _command(name)
        child = subparsers.add_parser(command.name, help=command.help, description=command.help)
        child.add_argument("--debug", action="store_true", help="show tracebacks")
        command.add_options(child)
        child.set_defaults(command=command)
    return parser


def _command(name: str) -> Command:
    module, constant = _PLACES[name]
    found = getattr(import_module(f"edge.results.commands.{module}"), constant)
    # Installing writes the manual and the completions, which need the whole command line.
    command: Command = found if isinstance(found, Command) else found(build_parser)
    return command


def _show(text: str) -> None:
    # A name in it may contain control characters.
    print(printable_lines(text), flush=True)


if __name__ == "__main__":
    sys.exit(main())
