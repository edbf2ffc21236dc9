"""The parsers behind a command line: for the manual page and the completion of shells."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser of a command, then those of its own commands."""
    yield parser
    for action in actions(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse shows it nowhere else
            for child in action.choices.values():
                yield from parsers(child)


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and positional arguments of one parser."""
    return parser._actions  # noqa: SLF001 - as above
