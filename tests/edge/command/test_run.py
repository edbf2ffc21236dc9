"""How a command ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge.command.parser import CommandParser
from edge.command.run import INTERRUPTED, run_command
from edge.errors import ConfigError, StorageError


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
