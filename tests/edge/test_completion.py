"""Tests for edge.completion and edge.man_page: in step with the parsers, and in the shells."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import converters.cli
import daemon.cli
import edge
import edge.bench.cli
from edge.command_line import CommandLine, command_line
from edge.completion import SHELLS, completion
from edge.man_page import man_page

PARSERS = {
    "edge-convert": converters.cli._parser,
    "edge-daemon": daemon.cli._parser,
    "edge-bench": edge.bench.cli._parser,
}
MODULES = ["daemon.cli", "converters.cli", "edge.bench.cli", "edge.demo", "converters.reference"]
OPTIONS = ["--version", "--manual", *(f"--completion={shell}" for shell in SHELLS)]
each_command = pytest.mark.parametrize("name", PARSERS)


def parser_of(name: str) -> argparse.ArgumentParser:
    return PARSERS[name]()


def commands(line: CommandLine) -> Iterator[CommandLine]:
    yield line
    yield from line.commands


def bash(script: str, *words: str) -> list[str]:
    """What bash offers for the last word of a command line."""
    program = script + (
        'COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()\n'
        f"_{words[0].replace('-', '_')}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(
        ["bash", "-uc", program, "bash", *words], capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    return result.stdout.split()


@each_command
def test_bash_offers_every_option_of_every_command(name: str) -> None:
    parser = parser_of(name)
    script = completion(parser, "bash")
    for command in commands(command_line(parser)):
        before = [] if command.name == name else [command.name]
        options = {o for argument in command.arguments for o in argument.names}
        assert set(bash(script, name, *before, "-")) == options


def test_bash_offers_commands_choices_files_and_folders(tmp_path: Path) -> None:
    script = completion(parser_of("edge-daemon"), "bash")
    assert bash(script, "edge-daemon", "st") == ["status"]
    assert bash(script, "edge-daemon", "retry", "--reason", "too_m") == ["too_many_pixels"]
    (tmp_path / "edge.yaml").touch()
    (tmp_path / "exports").mkdir()
    start = f"{tmp_path}/e"
    named = bash(script, "edge-daemon", "status", "--config", start)
    assert sorted(named) == [f"{tmp_path}/edge.yaml", f"{tmp_path}/exports"]
    assert bash(script, "edge-daemon", "install", "--watch", start) == [f"{tmp_path}/exports"]
    assert bash(script, "edge-daemon", "install", "--share", "r") == []


@each_command
def test_zsh_script_holds_every_option_and_is_valid(name: str, tmp_path: Path) -> None:
    parser = parser_of(name)
    script = completion(parser, "zsh")
    assert script.startswith(f"#compdef {name}\n")
    for command in commands(command_line(parser)):
        for argument in command.arguments:
            assert all(f"'{option}[" in script for option in argument.names)
    if zsh := shutil.which("zsh"):
        (tmp_path / "script").write_text(script)
        subprocess.run([zsh, "-n", str(tmp_path / "script")], check=True)


@each_command
def test_manual_page_holds_every_command_option_and_text_without_a_warning(name: str) -> None:
    parser = parser_of(name)
    page = man_page(parser)
    assert f"microscope-edge {edge.__version__}" in page
    if shutil.which("groff"):
        argv = ["groff", "-man", "-Tascii", "-ww", "-P-cbou", "-rLL=300n"]
        shown = subprocess.run(argv, input=page, capture_output=True, text=True, check=True)
        assert shown.stderr == ""
        page = shown.stdout
    page = " ".join(page.replace("\\-", "-").split())
    for command in commands(command_line(parser)):
        assert command.name in page
        for argument in command.arguments:
            assert all(option in page for option in argument.names)


@each_command
@pytest.mark.parametrize("option", OPTIONS)
def test_each_command_prints_version_manual_and_completion(
    name: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of(name).parse_args([option])
    assert ended.value.code in (0, None)
    out = capsys.readouterr().out
    expected = {
        "--version": f"microscope-edge {edge.__version__}\n",
        "--manual": man_page(parser_of(name)),
    }
    assert out == expected.get(option, completion(parser_of(name), option.partition("=")[2]))


@pytest.mark.parametrize(
    "module",
    ["daemon.cli", "converters.cli", "edge.bench.cli", "edge.demo", "converters.reference"],
)
def test_python_m_knows_the_version_too(module: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"microscope-edge {edge.__version__}\n"
