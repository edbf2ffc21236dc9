"""The subcommands of a command: what one needs is imported when it is asked for.

A `cli.py` lists its subcommands by name and line of help. The functions that add the options and do
the work import what they need in their first lines. So `--version`, `--help` and a mistyped option
are answered at once, and each subcommand starts without the libraries of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from edge.command.parser import CommandParser


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand.

    Attributes:
        name: as typed.
        help: one line, beginning in lower case.
        add_options: adds its options and arguments to its parser, and sets the default `command`,
            which `main` calls.
    """

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]


def add_subcommands(parser: CommandParser, subcommands: Iterable[Subcommand]) -> None:
    """Give a command its subcommands, each with `--debug`."""
    group = parser.add_subparsers(required=True, title="commands", metavar="COMMAND")
    for subcommand in subcommands:
        child = group.add_parser(subcommand.name, help=subcommand.help, description=subcommand.help)
        child.fill_with(partial(_add_options, subcommand))


def _add_options(subcommand: Subcommand, parser: argparse.ArgumentParser) -> None:
    subcommand.add_options(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
