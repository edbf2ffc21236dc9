"""A manual page for a command, made of its parser (groff_man(7))."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

import edge
from edge.command_line import Argument, CommandLine, command_line

_EXIT_CODES: Final = {
    "0": "done",
    "2": "the command line or the configuration is wrong",
    "3": "the model or the bundle cannot be used",
    "4": "the accuracy gate refused the converted model",
    "5": "the machine lacks what was asked for",
    "6": "a disk, or what lies on it, refused",
    "130": "interrupted",
    "1": "anything else",
}


def man_page(parser: argparse.ArgumentParser) -> str:
    """The page in section 1."""
    return "\n".join(_lines(command_line(parser))) + "\n"


def _lines(line: CommandLine) -> Iterator[str]:
    yield f'.TH {line.name.upper()} 1 "" "microscope-edge {edge.__version__}" "microscope-edge"'
    yield ".SH NAME"
    yield f"{_text(line.name)} \\- {_text(line.description)}"
    yield ".SH SYNOPSIS"
    yield _text(line.usage)
    yield ".SH OPTIONS"
    for argument in line.arguments:
        yield from _argument(argument)
    if line.commands:
        yield ".SH COMMANDS"
    for command in line.commands:
        yield f".SS {_text(command.name)}"
        yield _text(command.description)
        for argument in command.arguments:
            yield from _argument(argument)
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT_CODES.items():
        yield from (".TP", f".B {code}", meaning)


def _argument(argument: Argument) -> Iterator[str]:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in argument.names)
    value = f"\\fI{_text(argument.value)}\\fR" if argument.value else ""
    yield ".TP"
    yield " ".join(part for part in (names, value) if part)
    yield _text(argument.text)
    if argument.choices:
        yield _text(f"One of: {', '.join(argument.choices)}.")


def _text(text: str) -> str:
    """Text as groff takes it: no escapes of its own, and no request at the start of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
