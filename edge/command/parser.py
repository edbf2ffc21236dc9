"""The option parser of every command: errors, `--version`, `--manual`, `--completion`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import edge
from edge.command.completion import SHELLS, completion
from edge.command.man_page import man_page
from edge.command.parsers import LateParser, actions, parsers
from edge.command.run import run_command
from edge.command.utf8 import use_utf8
from edge.text.printable import printable


class CommandParser(LateParser):
    """A parser that suggests options and escapes unprintable characters in its errors.

    Attributes:
        whole: the parser whose manual page and completion are printed; None for this one.
    """

    whole: CommandParser | None = None

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As in argparse; but the process's own command line is read as UTF-8 in any locale."""
        if args is None:
            use_utf8()
        return super().parse_args(args, namespace)

    def print_help(self, file: Any = None) -> None:
        """Print the help text."""
        if file is None:
            _print(self, self.format_help())
        else:
            super().print_help(file)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        super().error(printable(f"{message}{self._nearest(message)}"))

    def _nearest(self, message: str) -> str:
        """A hint at the most similar option, if the error is an unknown option; else empty."""
        unknown = message.removeprefix("unrecognized arguments: ").split(" ", 1)[0]
        options = {
            option
            for parser in parsers(self)
            for action in actions(parser)
            for option in action.option_strings
        }
        if unknown in options:
            return ": an option of another command"
        found = difflib.get_close_matches(unknown, options, 1) if unknown[:2] == "--" else []
        return f"; did you mean {found[0]}?" if found else ""


def add_version(parser: argparse.ArgumentParser) -> None:
    """`--version`, the same for every command."""
    text = "show program's version number and exit"
    parser.add_argument("--version", action=_Print, nargs=0, help=text)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """`--version`, `--manual` and `--completion`, for commands that are installed."""
    add_version(parser)
    text = "print the manual page, for man -l -"
    parser.add_argument("--manual", action=_Print, nargs=0, help=text)
    text = "print the completion for a shell: %(choices)s"
    parser.add_argument("--completion", action=_Print, choices=SHELLS, metavar="SHELL", help=text)


class _Print(argparse.Action):
    """Prints the version, the manual page or the completion script and exits."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> None:
        whole = getattr(parser, "whole", None) or parser
        if self.dest == "version":
            text = f"microscope-edge {edge.__version__}\n"
        elif self.dest == "completion":
            text = completion(whole, str(values))
        else:
            text = man_page(whole)
        _print(parser, text)
        parser.exit()


def _print(parser: argparse.ArgumentParser, text: str) -> None:
    """Print a text, or end with the error of standard output."""
    # Not what `write` returns, which would be the exit code.
    if code := run_command(lambda: sys.stdout.write(text) and None):
        parser.exit(code)
