"""Walks through a command's parser and its subparsers, for manual page and completion."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser of a command, then those of its subcommands."""
    yield parser
    for action in actions(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no public name for it
            for child in action.choices.values():
                yield from parsers(child)


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and positional arguments of one parser."""
    return parser._actions  # noqa: SLF001 - as above
