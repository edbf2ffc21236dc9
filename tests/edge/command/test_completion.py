"""Completion and manual page: in step with the parsers, and tried in the shells."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import daemon.cli
import edge
import edge.bench.cli
from converters.cli_options import build_parser
from edge.command.completion import SHELLS, completion
from edge.command.man_page import _EXIT_CODES, man_page
from edge.command.parsers import actions, parsers
from edge.command.run import INTERRUPTED
from edge.errors import WITHOUT_INT8, EdgeError
from tests.support.machine.shells import words_after_tab

PARSERS = {
    "edge-convert": build_parser,
    "edge-daemon": daemon.cli.build_parser,
    "edge-bench": edge.bench.cli.build_parser,
}
MODULES = ["daemon.cli", "converters.cli", "edge.bench.cli", "edge.demo", "converters.reference"]
OPTIONS = ["--version", "--manual", *(f"--completion={shell}" for shell in SHELLS)]
each_shell = pytest.mark.parametrize("shell", SHELLS)
each_command = pytest.mark.parametrize("name", PARSERS)


def parser_of(name: str) -> argparse.ArgumentParser:
    return PARSERS[name]()


def options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in actions(parser) for option in action.option_strings]


def offered(shell: str, name: str, lines: list[str], folder: Path) -> dict[str, list[str]]:
    """The words after a tab key at the end of each line, without the name of the command."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    return words_after_tab(shell, completion(parser_of(name), shell), lines, folder)


@each_shell
@each_command
def test_shell_offers_every_option_of_every_command(name: str, shell: str, tmp_path: Path) -> None:
    # The program of a parser is the line so far: "edge-daemon run".
    expected = {f"{parser.prog} -": parser for parser in parsers(parser_of(name))}
    words = offered(shell, name, list(expected), tmp_path)
    for line, parser in expected.items():
        before = len(line.split()) - 2
        assert sorted(words[line][before:]) == sorted(options(parser)), line


@each_shell
def test_shell_offers_commands_choices_files_and_folders(shell: str, tmp_path: Path) -> None:
    (tmp_path / "lab data" / "exports").mkdir(parents=True)
    (tmp_path / "lab data" / "edge.yaml").touch()
    expected = {
        "edge-daemon stat": ["status"],
        "edge-daemon retry --reason too_m": ["retry", "--reason", "too_many_pixels"],
        "edge-daemon check-config --installed --conf": [
            "check-config",
            "--installed",
            "--config",
        ],
        # A folder's name with a space, as Windows has them.
        r"edge-daemon status --config lab\ data/e": [
            "status",
            "--config",
            "lab data/edge.yaml",
            "lab data/exports",
        ],
        r"edge-daemon install --watch lab\ data/e": ["install", "--watch", "lab data/exports"],
        # After an option that takes several values.
        "edge-daemon retry --image a --debu": ["retry", "--image", "a", "--debug"],
        "edge-daemon install --share l": ["install", "--share", "l"],
    }
    assert offered(shell, "edge-daemon", list(expected), tmp_path) == expected


@each_shell
def test_shell_offers_positional_files_and_leaves_other_texts_alone(
    shell: str, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").touch()
    (tmp_path / "cells").mkdir()
    expected = {
        "edge-convert mod": ["model.pt"],
        "edge-convert --int8 --calibration c": ["--int8", "--calibration", "cells"],
        "edge-convert --portability am": ["--portability", "ampere-plus"],
        # What stands for these values has a colon, which separates fields in zsh.
        "edge-convert --trust-pickle m": ["--trust-pickle", "m"],
        "edge-convert --engine m": ["--engine", "m"],
    }
    assert offered(shell, "edge-convert", list(expected), tmp_path) == expected


@each_command
def test_manual_page_holds_every_command_option_and_text_without_a_warning(name: str) -> None:
    parser = parser_of(name)
    page = man_page(parser)
    if shutil.which("groff"):
        argv = ["groff", "-man", "-Tascii", "-ww", "-P-cbou", "-rLL=300n"]
        shown = subprocess.run(argv, input=page, capture_output=True, text=True, check=True)
        assert shown.stderr == ""
        page = shown.stdout
    page = " ".join(page.replace("\\-", "-").split())
    for command in parsers(parser):
        assert command.prog in page
        # argparse-manpage leaves --help out, which the usage has as -h.
        assert all(option in page for option in options(command) if option != "--help")
        for action in actions(command):
            if action.help and "--help" not in action.option_strings:
                text = action.help % {**vars(action), "choices": ", ".join(action.choices or ())}
                assert " ".join(text.split()) in page
    assert f"microscope-edge {edge.__version__}" in page
    assert "EXIT STATUS" in page
    assert "the accuracy gate refused the converted model" in page


@each_command
def test_manual_page_is_the_same_at_any_time_and_width(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = set()
    for epoch, columns in (("0", "40"), ("1700000000", "200")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        monkeypatch.setenv("COLUMNS", columns)
        pages.add(man_page(parser_of(name)))
    assert len(pages) == 1


@each_command
def test_manual_page_parts_no_word(name: str) -> None:
    man = shutil.which("man")
    if man is None:
        pytest.skip("man is not installed (Debian: man-db)")
    shown = subprocess.run(
        [man, "-l", "-"],
        input=man_page(parser_of(name)),
        env=os.environ | {"MANWIDTH": "60", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert name.upper() in shown
    assert "\N{HYPHEN}" not in shown


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
        **{f"--completion={shell}": completion(parser_of(name), shell) for shell in SHELLS},
    }
    assert out == expected[option]


@pytest.mark.parametrize(
    "module",
    ["daemon.cli", "converters.cli", "edge.bench.cli", "edge.demo", "converters.reference"],
)
def test_python_m_knows_the_version_too(module: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"microscope-edge {edge.__version__}\n"


def test_manual_page_names_every_exit_code() -> None:
    def codes(kind: type[EdgeError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    assert set(map(int, _EXIT_CODES)) == {0, INTERRUPTED, WITHOUT_INT8} | codes(EdgeError)
