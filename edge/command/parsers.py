"""Parsers whose options are added when they are needed, and walks through a command's parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class LateParser(argparse.ArgumentParser):
    """A parser that may get its options late.

    The parser of a subcommand is filled when the command line names the subcommand, or when
    something walks through all options. So what a subcommand needs is imported with it alone.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._add_options: Callable[[argparse.ArgumentParser], None] | None = None

    def fill_with(self, add_options: Callable[[argparse.ArgumentParser], None]) -> None:
        """Let `add_options` add the options when they are needed."""
        self._add_options = add_options

    def fill(self) -> None:
        """Add the options, unless that was done."""
        add_options, self._add_options = self._add_options, None
        if add_options is not None:
            add_options(self)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As in argparse, which calls it for the subcommand that the command line names."""
        self.fill()
        return super().parse_known_args(args, namespace)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser of a command, then those of its subcommands, each with all of its options."""
    if isinstance(parser, LateParser):
        parser.fill()
    yield parser
    for action in actions(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no public name for it
            for child in action.choices.values():
                yield from parsers(child)


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and positional arguments of one parser."""
    return parser._actions  # noqa: SLF001 - as above
