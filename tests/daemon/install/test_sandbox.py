"""Tests for daemon.install.sandbox: the check has the unit of the service but for its command."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from daemon.cli import main
from daemon.install import sandbox
from daemon.install.place import Place
from daemon.install.sandbox import check_in_sandbox, check_unit
from edge.errors import BackendError, ConfigError
from edge.install import systemd
from tests.support.machine.unit_files import DROP_INS, found_in, run, source_of

# What a check must do differently from a service that stays.
OWN_KEYS = {
    "Type",
    "NotifyAccess",
    "ExecStart",
    "ExecReload",
    "Restart",
    "WatchdogSec",
    "TimeoutStartSec",
    "RuntimeDirectoryPreserve",
    "StandardInput",
    "StandardOutput",
    "StandardError",
}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd's tools are not installed"
)


def service(unit: str, drop_in: str | None) -> str:
    """As `systemctl cat` prints it."""
    files = [source_of(unit), *([DROP_INS / f"{drop_in}.conf"] if drop_in else [])]
    return "\n".join(f"# {path}\n{path.read_text()}" for path in files)


def lines(text: str) -> Counter[str]:
    return Counter(line for line in text.splitlines() if line and line[0] not in "#[")


@pytest.mark.parametrize("unit", ["edge-daemon.service", "edge-daemon@.service"])
@pytest.mark.parametrize("drop_in", [None, "gpu", "share", "metrics", "notify-reload"])
def test_check_has_every_setting_of_the_service_and_of_its_drop_ins(
    unit: str, drop_in: str | None
) -> None:
    text = service(unit, drop_in)
    checked = check_unit(text, Path("/run/check"))
    assert lines(text) - lines(checked) == Counter()
    added = lines(checked) - lines(text)
    assert {line.partition("=")[0] for line in added} <= OWN_KEYS
    config = "%i" if "@" in unit else "edge"
    command = "/opt/microscope-edge/bin/edge-daemon check-config"
    assert [line for line in added if line.startswith("ExecStart=")] == [
        "ExecStart=",
        f"ExecStart={command} --config /etc/microscope-edge/{config}.yaml",
    ]


@needs_systemd
@pytest.mark.parametrize("unit", ["edge-daemon.service", "edge-daemon@dm96.service"])
def test_unit_of_the_check_is_valid(tmp_path: Path, unit: str) -> None:
    text = check_unit(service(unit, "share"), tmp_path)
    for old, new in (
        ("/opt/microscope-edge/bin/edge-daemon", shutil.which("true") or ""),
        ("=edge\n", "=root\n"),
        ("=labshare", "=root"),
    ):
        text = text.replace(old, new)
    name = unit.replace("edge-daemon", "edge-daemon-check-1")
    (tmp_path / name).write_text(text)
    result = run("systemd-analyze", "verify", name, environment=found_in(tmp_path))
    assert result.stdout + result.stderr == ""


def test_command_of_a_drop_in_made_by_hand_is_the_one_that_is_checked() -> None:
    by_hand = "[Service]\nExecStart=\nExecStart=/srv/e/bin/edge-daemon run --config /srv/e.yaml\n"
    checked = check_unit(f"{service('edge-daemon.service', None)}\n{by_hand}", Path("/run/check"))
    commands = [line for line in checked.splitlines() if line.startswith("ExecStart=")]
    assert commands[-1] == "ExecStart=/srv/e/bin/edge-daemon check-config --config /srv/e.yaml"


def test_unit_that_runs_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not begin with edge-daemon run"):
        check_unit("[Service]\nExecStart=/usr/bin/python3 -m daemon.cli run\n", Path("/run/check"))


def test_check_without_systemd_says_where_it_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "BOOTED", tmp_path / "nosuch")
    with pytest.raises(BackendError, match="no systemd runs here"):
        check_in_sandbox(Place())


def test_check_by_another_user_than_root_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "BOOTED", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="only root can start a check"):
        check_in_sandbox(Place())


def test_user_and_groups_that_the_machine_does_not_have_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*words: str) -> subprocess.CompletedProcess[str]:
        shown = "Result=exit-code\nExecMainStatus=216\n" if words[0] == "show" else ""
        return subprocess.CompletedProcess(words, 1, shown, "")

    monkeypatch.setattr(sandbox, "systemctl", refused)
    monkeypatch.setattr(sandbox, "_reason", lambda _: "Failed to determine supplementary groups")
    text = service("edge-daemon.service", "share").replace("User=edge", "User=nosuch-user")
    groups = "SupplementaryGroups=root\nSupplementaryGroups=0\nSupplementaryGroups=nosuch-group\n"
    with pytest.raises(BackendError) as raised:
        sandbox._run("check.service", text.replace("SupplementaryGroups=labshare\n", groups))  # noqa: SLF001 - the rest needs an installed unit
    make = "Make it: groupadd --system nosuch-group, or name another: edge-daemon install"
    assert str(raised.value).splitlines()[1:3] == [
        "there is no user nosuch-user. `edge-daemon install` makes it.",
        f"there is no group nosuch-group. {make} --share GROUP",
    ]


def test_installed_check_takes_no_configuration_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check-config", "--installed", "--config", "/srv/edge.yaml"]) == 2
    assert capsys.readouterr().err == (
        "error: --installed checks the configuration of the unit: leave --config out.\n"
    )
