"""What a parser offers, as plain data: for the manual page and the completion of shells."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Words for the value of an option that is a folder.
_FOLDERS: Final = ("DIR",)


@dataclass(frozen=True, slots=True)
class Argument:
    """An option, or a positional argument where `names` is empty.

    `value` is what stands for its value, None where it takes none. `completes` says what the
    value is: "folder", "file", "choice" or "text".
    """

    names: tuple[str, ...]
    value: str | None
    text: str
    completes: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command, or a command of a command."""

    name: str
    description: str
    usage: str
    arguments: tuple[Argument, ...]
    commands: tuple[CommandLine, ...]


def command_line(parser: argparse.ArgumentParser, name: str | None = None) -> CommandLine:
    """What a parser offers, in its order."""
    subparsers = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001 - argparse shows them nowhere else
    return CommandLine(
        name=name or parser.prog,
        description=" ".join((parser.description or "").split()),
        usage=" ".join(parser.format_usage().removeprefix("usage: ").split()),
        arguments=tuple(_arguments(parser)),
        commands=tuple(
            command_line(child, name)
            for action in subparsers
            for name, child in action.choices.items()
        ),
    )


def _arguments(parser: argparse.ArgumentParser) -> Iterator[Argument]:
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:  # noqa: SLF001
            continue
        takes_value = action.nargs != 0
        word = action.metavar or action.dest
        yield Argument(
            names=tuple(action.option_strings),
            value=(word if isinstance(word, str) else " ".join(word)) if takes_value else None,
            text=_help(parser, action),
            completes=_kind(action),
            choices=tuple(map(str, action.choices or ())),
        )


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    fields = {**vars(action), "prog": parser.prog}
    return " ".join(((action.help or "") % fields).split())


def _kind(action: argparse.Action) -> str:
    if action.choices:
        return "choice"
    if action.type is Path:
        return "folder" if action.metavar in _FOLDERS else "file"
    return "text"
