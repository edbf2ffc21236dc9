"""How a command ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.command.parser import CommandParser
from edge.command.run import INTERRUPTED, run_command
from edge.errors import ConfigError, StorageError
from edge.files.atomic import storage_errors


def fail_with(error: BaseException) -> int:
    raise error


def test_command_gives_its_exit_code_and_nothing_counts_as_done() -> None:
    assert run_command(lambda: 4) == 4
    assert run_command(lambda: None) == 0


def test_command_error_is_one_line_for_each_of_its_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(lambda: fail_with(StorageError("the disk is full\nfree it"))) == 6
    assert capsys.readouterr().err == "error: the disk is full\nerror: free it\n"


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (["install", "--bundel", "/srv/a"], "arguments: --bundel /srv/a; did you mean --bundle?"),
        (["install", "--quickly"], "arguments: --quickly"),
        (["install", "bundle"], "arguments: bundle"),
        (["status", "--bundle", "a"], "arguments: --bundle a: an option of another command"),
    ],
)
def test_option_that_is_not_known_names_the_nearest(
    words: list[str], ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = CommandParser(prog="edge-daemon")
    commands = parser.add_subparsers()
    commands.add_parser("install").add_argument("--bundle")
    commands.add_parser("status")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(words)
    assert capsys.readouterr().err.endswith(f"{ending}\n")


def test_command_interrupted_ends_as_the_shell_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(lambda: fail_with(KeyboardInterrupt()), on_interrupt="nothing was written.")
    assert code == INTERRUPTED == 130
    assert capsys.readouterr().err == "error: nothing was written.\n"


def test_command_unexpected_error_is_one_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: fail_with(RuntimeError("a\nb " + "x" * 5000))) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: unexpected RuntimeError at edge/command/run.py:")
    assert text.endswith("x. Run again with --debug.\n")
    assert (text.count("\n"), "a b x" in text) == (1, True)
    assert len(text) < 500


def test_private_command_does_not_say_the_text_of_an_unexpected_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(lambda: fail_with(OSError("S777/1.jpg")), is_private=True) == 1
    assert "S777" not in capsys.readouterr().err


def test_debug_shows_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: fail_with(ConfigError("wrong")), debug=True) == 2
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert text.endswith("error: wrong\n")


def test_command_whose_reader_has_gone_ends_in_silence() -> None:
    code = (
        "import sys; from edge.command.run import run_command\n"
        "sys.exit(run_command(lambda: print('line\\n' * 100_000)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("module", "words"),
    [
        *(("edge.results.cli", word) for word in ("codes", "--help", "--version", "--manual")),
        ("edge.bench.cli", "--completion bash"),
        ("daemon.cli", "--help"),
        ("converters.cli", "--version"),
    ],
)
def test_command_whose_output_has_no_space_left_says_so_in_a_line_and_ends_with_6(
    module: str, words: str, unbuffered: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", module, *words.split()],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == (
        "error: standard output cannot be written (No space left on device), so that what it has "
        "is cut off. Make space, or send it elsewhere.\n"
    )
    assert done.returncode == 6


def test_full_output_is_told_where_a_command_takes_it_for_the_error_of_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        with storage_errors("read", Path("/srv/results")):
            sys.stdout.write("line\n")
            sys.stdout.flush()

    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run_command(command) == 6
        assert sys.stdout is full
    assert "error: standard output cannot be written" in capsys.readouterr().err


def test_full_standard_error_ends_with_6() -> None:
    code = (
        "import sys; from edge.command.run import run_command\n"
        "sys.exit(run_command(lambda: print('line', file=sys.stderr)))"
    )
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", code]
        assert subprocess.run(command, stderr=full, timeout=60, check=False).returncode == 6
