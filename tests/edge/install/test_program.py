"""Tests for edge.install.program: what the unit can see and start of a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.install import program as install_program
from edge.install.program import access_problems, hidden_above, hidden_program


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /root."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    monkeypatch.setattr(install_program, "HIDDEN", (folder,))
    return folder


def venv(folder: Path, python: Path, shebang: str | None = None) -> Path:
    """A virtual environment's command, whose Python is a link to another."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(python)
    program = folder / "bin" / "edge-daemon"
    program.write_text(shebang or f"#!{folder}/bin/python\nimport daemon\n")
    program.chmod(0o755)
    return program


def interpreter(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    return path


def test_python_of_a_hidden_folder_behind_two_links_is_found(tmp_path: Path, hidden: Path) -> None:
    real = interpreter(hidden / "pyenv/python3.11")
    between = tmp_path / "bin" / "python3"
    between.parent.mkdir()
    between.symlink_to(real)
    program = venv(tmp_path / "opt", between)
    told = hidden_program(program) or ""
    assert told.startswith(f"{program} is run by {real}, and the unit sees nothing below {hidden}.")


def test_link_that_passes_through_a_hidden_folder_counts(tmp_path: Path, hidden: Path) -> None:
    real = interpreter(tmp_path / "usr/python3")
    (hidden / "python3").symlink_to(real)
    assert hidden_program(venv(tmp_path / "opt", hidden / "python3"))


def test_pips_start_for_long_paths_is_read(tmp_path: Path, hidden: Path) -> None:
    real = interpreter(hidden / "python3")
    shebang = f"#!/bin/sh\n'''exec' \"{real}\" \"$0\" \"$@\"\n' '''\n"
    assert hidden_program(venv(tmp_path / "opt", interpreter(tmp_path / "python3"), shebang))


def test_program_that_the_unit_sees_is_let_pass(tmp_path: Path, hidden: Path) -> None:
    program = venv(tmp_path / "opt", interpreter(tmp_path / "usr/python3"))
    assert hidden_program(program) is None
    assert hidden_above(hidden / "x") == hidden
    assert hidden_program(tmp_path / "nosuch") is None


def test_links_of_an_image_are_not_followed_on_this_machine(tmp_path: Path, hidden: Path) -> None:
    (tmp_path / "link").symlink_to(hidden)
    assert hidden_above(tmp_path / "link" / "x") == hidden
    assert hidden_above(tmp_path / "link" / "x", follows_links=False) is None


def test_folder_and_file_that_are_closed_to_others_are_named(tmp_path: Path) -> None:
    program = venv(tmp_path / "opt", interpreter(tmp_path / "usr/python3"))
    (tmp_path / "opt").chmod(0o750)
    program.chmod(0o700)
    told = list(access_problems(program))
    assert f"{tmp_path}/opt is closed to the user edge. Open it: chmod o+x {tmp_path}/opt" in told
    assert f"{program} cannot be started by the user edge. Open it: chmod o+rx {program}" in told


def test_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    (told,) = access_problems(tmp_path / "bin" / "edge-daemon")
    assert "is not there. Install the program there, or give --prefix." in told
