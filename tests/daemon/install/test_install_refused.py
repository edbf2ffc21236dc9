"""Tests for daemon.install: what is refused or kept, and what is said then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.cli import main
from tests.daemon.install.plans import COMMAND, planned
from tests.support.digests import digests
from tests.support.machine.install_image import needs_root


def test_program_that_lies_where_commands_do_is_not_replaced(machine: Path) -> None:
    assert f"/{COMMAND}" not in planned(machine, "--prefix", "/usr/local")


@needs_root
def test_command_of_somebody_else_is_kept(machine: Path) -> None:
    (machine / COMMAND).parent.mkdir(parents=True)
    (machine / COMMAND).write_text("mine")
    assert main(["install", "--root", str(machine)]) == 0
    assert main(["uninstall", "--root", str(machine)]) == 0
    assert (machine / COMMAND).read_text() == "mine"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--instance", "a/b"], "give letters, digits"),
        (["--instance", "engines"], "is reserved"),
        (["--bundle", "cells8.edge"], "an absolute, printable path"),
        (["--watch", "/srv/a\nb"], "an absolute, printable path"),
        (["--results", "/home/anna/results"], "the unit cannot see this folder"),
        (["--bundle", "/root/cells8.edge"], "the unit cannot see this folder"),
        (["--prefix", "/opt/a b"], "--prefix /opt/a b"),
        (["--share", "nosuch"], "no such group"),
    ],
)
def test_install_refuses_what_cannot_work_in_one_line(
    machine: Path, wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", "--dry-run", "--root", str(machine), *wrong]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert told in error


def test_install_without_root_is_refused_in_one_line_and_changes_nothing(
    machine: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = digests(machine)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["install", "--root", str(machine)]) == 2
    assert capsys.readouterr().err == (
        "error: install writes to /etc: run it as root, or see what it would do with --dry-run.\n"
    )
    assert digests(machine) == before


@needs_root
def test_install_tells_why_a_command_failed(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # systemd-sysusers cannot read a group file that is a folder.
    (machine / "etc" / "passwd").mkdir()
    assert main(["install", "--root", str(machine)]) == 5
    error = capsys.readouterr().err
    assert error.startswith(f"error: systemd-sysusers --root={machine} edge-daemon.conf failed: ")
    assert error.count("\n") == 1
