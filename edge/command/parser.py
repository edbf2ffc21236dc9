"""The command line of every command: its errors, its version, its manual and its completion."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import edge
from edge.command.completion import SHELLS, completion
from edge.command.man_page import man_page
from edge.command.parsers import actions, parsers
from edge.command.utf8 import use_utf8
from edge.text.printable import printable


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors show what is not printable, such as in a file's name, as escapes."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse's; a program reads its own command line as UTF-8, whatever the locale."""
        if args is None:
            use_utf8()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        super().error(printable(f"{message}{self._nearest(message)}"))

    def _nearest(self, message: str) -> str:
        """The option that was meant, where one was not recognized."""
        unknown = message.removeprefix("unrecognized arguments: ").split(" ", 1)[0]
        options = {
            option
            for parser in parsers(self)
            for action in actions(parser)
            for option in action.option_strings
        }
        found = difflib.get_close_matches(unknown, options, 1) if unknown[:2] == "--" else []
        return f"; did you mean {found[0]}?" if found else ""


def add_version(parser: argparse.ArgumentParser) -> None:
    """`--version`, the same for every command."""
    text = f"microscope-edge {edge.__version__}"
    parser.add_argument("--version", action="version", version=text)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """`--version`, `--manual` and `--completion`, for commands that are installed."""
    add_version(parser)
    text = "print the manual page, for man -l -"
    parser.add_argument("--manual", action=_Print, nargs=0, help=text)
    text = "print the completion for a shell: %(choices)s"
    parser.add_argument("--completion", action=_Print, choices=SHELLS, metavar="SHELL", help=text)


class _Print(argparse.Action):
    """Prints what is made of the parser, and ends."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> None:
        is_completion = self.dest == "completion"
        text = completion(parser, str(values)) if is_completion else man_page(parser)
        sys.stdout.write(text)
        parser.exit()
