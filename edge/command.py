"""How every command ends: with its exit code, and one line for what went wrong."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import edge
from edge.completion import SHELLS, completion
from edge.errors import EdgeError
from edge.man_page import man_page
from edge.printable import printable, printable_lines

# As the shell has it for a program ended by SIGINT.
INTERRUPTED: Final = 130
# An unexpected error of a library may hold pages.
_LONGEST_TEXT: Final = 300


def add_version(parser: argparse.ArgumentParser) -> None:
    """`--version`, the same for every command."""
    text = f"microscope-edge {edge.__version__}"
    parser.add_argument("--version", action="version", version=text)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """`--version`, `--manual` and `--completion`, for commands that are installed."""
    add_version(parser)
    text = "print the manual page, for man -l -"
    parser.add_argument("--manual", action=_Print, nargs=0, help=text)
    text = "print the shell's completion."
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


def run_command(
    command: Callable[[], int | None],
    *,
    debug: bool = False,
    on_interrupt: str = "interrupted.",
    is_private: bool = False,
) -> int:
    """Run a command; returns its exit code, or that of the error it raised.

    Args:
        command: does the work and returns its exit code; None is 0.
        debug: show the traceback as well.
        on_interrupt: what is said when a person stops it.
        is_private: an unexpected error's text may hold an image's path, and with it a sample id;
            only its kind and place are said.
    """
    # A name that the terminal's encoding lacks must not end the command.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        exit_code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say(on_interrupt)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the end of the program
        if debug:
            sys.stderr.write(printable_lines("".join(traceback.format_exception(error))))
        _say(*_lines(error, is_private=is_private))
        return error.exit_code if isinstance(error, EdgeError) else EdgeError.exit_code
    return exit_code or 0


def _say(*lines: str) -> None:
    # A line may name a file, whose name anybody may have chosen.
    sys.stderr.writelines(f"error: {printable(line)}\n" for line in lines)


def _lines(error: Exception, *, is_private: bool) -> list[str]:
    if isinstance(error, EdgeError):
        return str(error).split("\n")
    text = "" if is_private else " ".join(str(error).split())[:_LONGEST_TEXT]
    what = f"unexpected {type(error).__name__} at {place_of(error)}"
    return [f"{what}{': ' if text else ''}{text}. Run again with --debug."]


def place_of(error: Exception) -> str:
    """The last line of this program that the error passed, not of a library below it."""
    packages = Path(__file__).parent.parent
    own = [packages / name for name in ("edge", "daemon", "converters")]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(Path(frame.filename).is_relative_to(package) for package in own):
            return f"{Path(frame.filename).relative_to(packages)}:{frame.lineno}"
    return "an unknown place"
