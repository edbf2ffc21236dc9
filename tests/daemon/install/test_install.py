"""Tests for daemon.install.install: into a folder that stands for the root of a machine."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
import yaml

from daemon.cli import main
from daemon.config.config import load_config
from edge.install import files as install_files
from edge.system.mounts import is_on_share, mount_point
from tests.daemon.install.plans import COMMAND, planned, steps
from tests.support.digests import digests
from tests.support.machine.install_image import CONFIG, UNIT, needs_root
from tests.support.wheel import files_of_wheel

ROOT = Path(__file__).parents[3]


PROGRAM = "/opt/microscope-edge/bin/edge-daemon"


def test_install_dry_run_tells_files_users_folders_commands_and_changes_nothing(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(machine)
    options = ["--results", "/srv/lab/results", "--share", "labshare", "--gpu"]
    assert main(["install", "--dry-run", "--root", str(machine), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")][:-2] == [
        "write  /etc/systemd/system/edge-daemon.service",
        "write  /etc/sysusers.d/edge-daemon.conf",
        "user   edge",
        "write  /etc/tmpfiles.d/edge-daemon.conf",
        "folder /var/lib/microscope-edge 0700 edge:edge",
        "folder /run/microscope-edge 0755 edge:edge",
        "write  /etc/microscope-edge/edge.yaml",
        "write  /etc/systemd/system/edge-daemon.service.d/share.conf",
        "write  /etc/systemd/system/edge-daemon.service.d/gpu.conf",
        "write  /usr/local/share/man/man1/edge-daemon.1",
        "write  /usr/local/share/bash-completion/completions/edge-daemon",
        "write  /usr/local/share/zsh/site-functions/_edge-daemon",
        "write  /usr/local/bin/edge-daemon",
        "write  /etc/microscope-edge/edge.installed",
        f"run    systemd-sysusers --root={machine} edge-daemon.conf",
        f"run    systemd-tmpfiles --root={machine} --create edge-daemon.conf",
    ]
    # The content of each file that a person may want to read, line by line.
    unit = (ROOT / "systemd" / "edge-daemon.service").read_text()
    shown = [line.removeprefix("       +") for line in lines if line.startswith("       +")]
    assert shown[: unit.count("\n")] == unit.splitlines()
    assert "SupplementaryGroups=labshare" in shown
    assert not any("shtab" in line or ".TH EDGE" in line or "sha256" in line for line in shown)
    assert lines[-2:] == [
        f"{PROGRAM} is not there yet; install the program there, or give --prefix",
        "nothing was changed; without --dry-run all of this is done, and nothing is started",
    ]
    assert digests(machine) == before


def test_dry_run_on_this_machine_names_the_folders_that_are_not_there_yet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch, results = Path("/srv/nosuch/export"), Path("/srv/nosuch/results")
    words = ["--watch", str(watch), "--results", str(results), "--prefix", "/opt/nosuch"]
    assert main(["install", "--dry-run", "--instance", "nosuch", *words]) == 0
    out = capsys.readouterr().out
    for path in (watch, results):
        assert f"{path} is not there yet; mount or make it\n" in out


@needs_root
def test_install_does_what_the_dry_run_says_and_the_second_time_nothing(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["install", "--root", str(machine), "--watch", "/srv/lab/export"]
    assert main([*options, "--dry-run"]) == 0
    said = capsys.readouterr().out
    before = os.umask(0o077)
    try:
        assert main(options) == 0
    finally:
        os.umask(before)
    done = capsys.readouterr().out
    # The same steps; what the new files hold only before.
    assert steps(done) == steps(said)
    assert "       +" not in done
    assert done.splitlines()[-5:] == [
        f"{PROGRAM} is not there yet; install the program there, or give --prefix",
        "check it in the unit's sandbox, where its systemd runs:",
        f"  {PROGRAM} check-config --installed",
        "then start it:",
        "  systemctl enable --now edge-daemon",
    ]
    assert (machine / UNIT).read_text() == (ROOT / "systemd" / "edge-daemon.service").read_text()
    # The service's user reads its configuration, whatever root's umask is.
    for path, mode in (
        (CONFIG, 0o644),
        (CONFIG.parent, 0o755),
        (UNIT, 0o644),
        (UNIT.parent, 0o755),
        (COMMAND, 0o755),
    ):
        assert (machine / path).stat().st_mode & 0o7777 == mode, path
    assert "\nedge:" in "\n" + (machine / "etc/passwd").read_text()
    assert (machine / "var/lib/microscope-edge").stat().st_mode & 0o7777 == 0o700

    once = digests(machine)
    assert main(options) == 0
    assert digests(machine) == once
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"write", "change", "keep"}.isdisjoint(told)


@needs_root
def test_install_replaces_an_older_unit_and_shows_the_change(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "systemd" / "edge-daemon.service").read_text()
    (machine / UNIT).parent.mkdir(parents=True)
    (machine / UNIT).write_text(text.replace("WatchdogSec=10", "WatchdogSec=30"))
    assert main(["install", "--root", str(machine)]) == 0
    assert (machine / UNIT).read_text() == text
    out = capsys.readouterr().out
    assert "change /etc/systemd/system/edge-daemon.service\n" in out
    assert "       -WatchdogSec=30\n       +WatchdogSec=10\n" in out


def test_installed_configuration_holds_the_sites_folders_as_the_daemon_reads_them(
    machine: Path, tmp_path: Path
) -> None:
    folders = {
        "bundle": "/srv/a b/ü🔬.edge",
        "watch": '/srv/x "1"/export',
        "results": "/srv/50 %/r",
    }
    files = planned(machine, "--instance", "dm96-2", *options(folders))
    written = files["/etc/microscope-edge/dm96-2.yaml"]
    (tmp_path / "dm96-2.yaml").write_text(written)
    config = load_config(tmp_path / "dm96-2.yaml")
    assert str(config.bundle) == folders["bundle"]
    assert [str(watch.folder) for watch in config.watch] == [folders["watch"]]
    assert str(config.results.folder) == folders["results"]
    assert str(config.state_dir) == "/var/lib/microscope-edge/dm96-2"
    # The other keys are the example's.
    example = yaml.safe_load((ROOT / "systemd" / "edge.yaml").read_text())
    assert yaml.safe_load(written)["limits"] == example["limits"]
    share = files["/etc/systemd/system/edge-daemon@dm96-2.service.d/share.conf"]
    assert 'ReadWritePaths="-/srv/50 %%/r"' in share


def test_instances_have_state_results_and_configuration_of_their_own(machine: Path) -> None:
    plain, one, two = planned(machine), *(planned(machine, "--instance", x) for x in ("a", "b"))
    shared = {"/etc/sysusers.d/edge-daemon.conf", f"/{COMMAND}"}
    assert set(one) & set(two) == {*shared, "/etc/systemd/system/edge-daemon@.service"}
    assert set(one) & set(plain) == shared
    assert (
        "d /var/lib/microscope-edge/a 0700 edge edge -\n"
        in one["/etc/tmpfiles.d/edge-daemon-a.conf"]
    )
    assert (
        "d /run/microscope-edge/b 0755 edge edge -\n" in two["/etc/tmpfiles.d/edge-daemon-b.conf"]
    )
    assert "d /srv/b/results 2750 edge edge -\n" in two["/etc/tmpfiles.d/edge-daemon-b.conf"]


def test_results_on_a_share_get_no_folder_in_its_place(machine: Path) -> None:
    files = planned(machine, "--results", "/srv/lab/results")
    assert "/srv" not in files["/etc/tmpfiles.d/edge-daemon.conf"]


def test_results_below_the_mount_point_of_a_share_open_the_mount_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:50 / /srv/lab rw - cifs //nas/lab rw\n"
    )
    for name, function in (("is_on_share", is_on_share), ("mount_point", mount_point)):
        monkeypatch.setattr(install_files, name, partial(function, mounts=mounts))
    share = "/etc/systemd/system/edge-daemon.service.d/share.conf"
    on_share = planned(Path("/"), "--results", "/srv/lab/results")[share]
    assert "ReadWritePaths=-/srv/lab\n" in on_share
    local = planned(Path("/"), "--results", "/srv/local/results")[share]
    assert "ReadWritePaths=-/srv/local/results\n" in local


def test_prefix_is_named_in_unit_and_configuration(machine: Path) -> None:
    files = planned(machine, "--prefix", "/usr/local/edge")
    assert "ExecStart=/usr/local/edge/bin/edge-daemon run" in files[f"/{UNIT}"]
    assert not any("/opt/microscope-edge" in text for text in files.values())


def test_command_by_its_name_alone_starts_the_program_with_its_arguments(
    machine: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "program"
    program = prefix / "bin" / "edge-daemon"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    command = tmp_path / "edge-daemon"
    text = planned(machine)[f"/{COMMAND}"]
    command.write_text(text.replace("/opt/microscope-edge", str(prefix)))
    argv = ["/bin/sh", str(command), "retry", "--image", "a b"]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"retry|--image|a b|"


def test_wheel_holds_every_file_of_systemd(tmp_path: Path) -> None:
    held = {
        name.removeprefix("edge/units/"): content
        for name, content in files_of_wheel(tmp_path, ("daemon", "edge", "systemd")).items()
        if name.startswith("edge/units/")
    }
    folder = ROOT / "systemd"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert held == {str(path.relative_to(folder)): path.read_bytes() for path in files}


def options(folders: dict[str, str]) -> list[str]:
    return [word for key, value in folders.items() for word in (f"--{key}", value)]
