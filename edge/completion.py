"""Completion of a command's options for bash and zsh, made of its parser.

The scripts stand alone: pressing the tab key starts no Python.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from typing import Final

from edge.command_line import Argument, CommandLine, command_line

SHELLS: Final = ("bash", "zsh")


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of `SHELLS`."""
    lines = _bash(command_line(parser)) if shell == "bash" else _zsh(command_line(parser))
    return "\n".join(lines) + "\n"


def _bash(line: CommandLine) -> Iterator[str]:
    function = _function(line)
    names = "|".join(command.name for command in line.commands)
    yield f"# bash completion for {line.name}"
    yield f"{function}() {{"
    yield "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= i"
    if names:
        yield "  for ((i = 1; i < COMP_CWORD; i++)); do"
        yield f"    case ${{COMP_WORDS[i]}} in {names}) command=${{COMP_WORDS[i]}}; break ;; esac"
        yield "  done"
    yield "  case $command/$before in"
    for command in (line, *line.commands):
        name = "" if command is line else command.name
        for argument in command.arguments:
            yield from _bash_value(name, argument)
    yield "  esac"
    yield "  case $command in"
    for command in (line, *line.commands):
        yield from _bash_words(line, command)
    yield "  esac"
    yield "}"
    yield f"complete -F {function} {line.name}"


def _bash_value(command: str, argument: Argument) -> Iterator[str]:
    if argument.value is None or not argument.names:
        return
    pattern = "|".join(f"{command}/{name}" for name in argument.names)
    yield f"    {pattern}) {_bash_fill(argument)}; return ;;"


def _bash_fill(argument: Argument) -> str:
    match argument.completes:
        case "choice":
            words = shlex.quote(" ".join(argument.choices))
            return f'mapfile -t COMPREPLY < <(compgen -W {words} -- "$word")'
        case "folder" | "file":
            flag = "-d" if argument.completes == "folder" else "-f"
            names = f'mapfile -t COMPREPLY < <(compgen {flag} -- "$word")'
            return f"compopt -o filenames 2>/dev/null; {names}"
    return "COMPREPLY=()"


def _bash_words(line: CommandLine, command: CommandLine) -> Iterator[str]:
    words = [name for argument in command.arguments for name in argument.names]
    if command is line:
        words += [child.name for child in line.commands]
    name = '""' if command is line else command.name
    yield f'    {name}) mapfile -t COMPREPLY < <(compgen -W "{" ".join(words)}" -- "$word")'
    positional = next((a for a in command.arguments if not a.names), None)
    if positional is not None:
        yield f"      if [[ $word != -* ]]; then {_bash_fill(positional)}; fi"
    yield "      ;;"


def _zsh(line: CommandLine) -> Iterator[str]:
    function = _function(line)
    yield f"#compdef {line.name}"
    yield f"{function}() {{"
    yield "  local curcontext=$curcontext state line"
    yield "  local -A opt_args"
    rest = ["'1:command:->command'", "'*::argument:->rest'"] if line.commands else []
    yield from _zsh_arguments(line, "  _arguments -C", rest, indent=4)
    if line.commands:
        yield from _zsh_commands(line)
    yield "}"
    yield f'{function} "$@"'


def _zsh_commands(line: CommandLine) -> Iterator[str]:
    yield "  case $state in"
    yield "    command)"
    yield "      local -a commands=("
    for command in line.commands:
        yield f"        {shlex.quote(f'{command.name}:{command.description}')}"
    yield "      )"
    yield "      _describe command commands ;;"
    yield "    rest)"
    yield "      case $words[1] in"
    for command in line.commands:
        yield f"        {command.name})"
        yield from _zsh_arguments(command, "          _arguments", [], indent=12)
        yield "          ;;"
    yield "      esac ;;"
    yield "  esac"


def _zsh_arguments(
    command: CommandLine, start: str, rest: list[str], *, indent: int
) -> Iterator[str]:
    words = [word for argument in command.arguments for word in _zsh_words(argument)]
    yield f" \\\n{' ' * indent}".join([start, *words, *rest])


def _zsh_words(argument: Argument) -> Iterator[str]:
    text = re.sub(r"([\\\[\]:])", r"\\\1", argument.text)
    value = _zsh_value(argument) if argument.value else ""
    for name in argument.names:
        yield shlex.quote(f"{name}[{text}]{value}")
    if not argument.names:
        yield shlex.quote(f"1{value}")


def _zsh_value(argument: Argument) -> str:
    value = re.sub(r"([\\\[\]:])", r"\\\1", argument.value or "")
    match argument.completes:
        case "choice":
            return f":{value}:({' '.join(argument.choices)})"
        case "folder":
            return f":{value}:_files -/"
        case "file":
            return f":{value}:_files"
    return f":{value}: "


def _function(line: CommandLine) -> str:
    return "_" + re.sub(r"\W", "_", line.name)
