"""From sidecars to slides, differentials, and files and messages for a LIS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Final

from edge.command.parser import CommandParser, add_common_options
from edge.command.run import run_command
from edge.command.subcommands import Subcommand, add_subcommands
from edge.results.commands.command import Command
from edge.text.printable import printable_lines

# Name and help of each subcommand; module below `edge.results.commands`, and name in it. Only the
# one that is asked for is imported: all start sooner, and a review page that runs for days keeps no
# other one in memory.
_SUBCOMMANDS: Final = (
    ("show", "show the slides with their differentials, and what is held", "slides.show", "SHOW"),
    ("complete", "say that no more cells of a slide will come", "slides.complete", "COMPLETE"),
    ("cells", "show the cells, one line each", "cells", "CELLS"),
    ("tail", "follow new cells, one line each, until Ctrl-C", "tail", "TAIL"),
    (
        "verify",
        "check sidecars, their images and CSV files; exit code 1 if there is a problem",
        "verify",
        "VERIFY",
    ),
    ("export", "write all cells into one file", "export", "EXPORT"),
    (
        "review",
        "serve the page on which people see, correct and sign slides",
        "review.review",
        "REVIEW",
    ),
    ("send", "issue the results of slides and send them to the LIS", "send", "SEND"),
    (
        "audit",
        "check the record of reviews, and show agreement of model and people",
        "review.audit",
        "AUDIT",
    ),
    (
        "codes",
        "print the code map, which has the LOINC codes of results, or check one",
        "codes",
        "CODES",
    ),
    (
        "openelis-profile",
        "print the profile for OpenELIS' analyzer bridge",
        "openelis_profile",
        "OPENELIS_PROFILE",
    ),
    (
        "install",
        "install the service that sends, with an example configuration; nothing is started",
        "install",
        "install_command",
    ),
    (
        "uninstall",
        "stop the service and remove what install wrote; results and configuration stay",
        "install",
        "UNINSTALL",
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `edge.errors`)."""
    arguments = build_parser().parse_args(argv)
    chosen: Command = arguments.command
    return run_command(
        lambda: chosen.run(arguments, _show),
        debug=arguments.debug,
        is_private=True,
        tidies_up=True,
    )


def build_parser() -> CommandParser:
    """The command line."""
    parser = CommandParser(prog="edge-results", description=__doc__)
    add_common_options(parser)
    add_subcommands(
        parser,
        (
            Subcommand(name, text, partial(_add_options, module, constant))
            for name, text, module, constant in _SUBCOMMANDS
        ),
    )
    return parser


def _add_options(module: str, constant: str, parser: argparse.ArgumentParser) -> None:
    found = getattr(import_module(f"edge.results.commands.{module}"), constant)
    # Installing writes the manual and the completions, which need the whole command line.
    command: Command = found if isinstance(found, Command) else found(build_parser)
    command.add_options(parser)
    parser.set_defaults(command=command)


def _show(text: str) -> None:
    # A name in it may contain control characters.
    print(printable_lines(text), flush=True)


if __name__ == "__main__":
    sys.exit(main())
