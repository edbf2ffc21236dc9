"""Shares, instances and drop-ins under a real systemd."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.machine.systemd_lab import (
    BUNDLE,
    PROGRAM,
    PYTHON,
    RECOVERED_S,
    RESULTS,
    ROOT,
    STATE,
    UNIT,
    Laboratory,
)
from tests.support.waiting import until


@pytest.fixture
def share(laboratory: Laboratory) -> Iterator[Callable[[], None]]:
    """Mounts a share, empty and anew, on the results folder; the bare folder is root's."""
    machine = laboratory.machine
    machine.run("systemctl", "stop", UNIT)
    machine.run("chmod", "0755", RESULTS)
    options = f"mode=2770,gid={machine.run('getent', 'group', 'labshare').stdout.split(':')[2]}"

    def mount() -> None:
        machine.run("mount", "-t", "tmpfs", "-o", options, "share", RESULTS)

    yield mount
    machine.run("systemctl", "stop", UNIT)
    machine.run("umount", "--lazy", RESULTS)
    machine.run("chmod", "2770", RESULTS)


def test_results_share_away_at_the_start_is_waited_for(
    laboratory: Laboratory, share: Callable[[], None]
) -> None:
    machine = laboratory.machine
    name = laboratory.export("green")
    machine.run("systemctl", "start", UNIT)
    # Gives the service its chance to start, and to fail, without the share.
    time.sleep(2.0)
    share()
    assert laboratory.label(name, timeout_s=RECOVERED_S) == "green"
    machine.run("umount", "--lazy", RESULTS)
    assert not machine.at(f"{RESULTS}/{name}.json").exists()
    share()


def test_results_share_mounted_anew_gets_the_next_results(
    laboratory: Laboratory, share: Callable[[], None]
) -> None:
    machine = laboratory.machine
    share()
    machine.run("systemctl", "start", UNIT)
    before = laboratory.pid()
    assert laboratory.label(laboratory.export("red")) == "red"
    machine.run("umount", "--lazy", RESULTS)
    name = laboratory.export("blue")
    # Gives a worker its chance to write under the bare mount point.
    until(lambda: (name, "waiting") in laboratory.journal())
    time.sleep(2.0)
    assert list(machine.at(RESULTS).glob(f"{name}.*")) == []
    share()
    assert laboratory.label(name, timeout_s=RECOVERED_S) == "blue"
    assert laboratory.pid() == before


def test_instance_has_state_configuration_and_log_of_its_own(laboratory: Laboratory) -> None:
    machine, unit = laboratory.machine, "edge-daemon@dm2.service"
    machine.run("mkdir", "-p", "/srv/dm2/export")
    machine.run(PROGRAM, "install", "--instance", "dm2", "--bundle", BUNDLE)
    machine.run("systemctl", "start", unit)
    try:
        one = laboratory.export("red")
        two = laboratory.export("green", export="/srv/dm2/export")
        assert laboratory.label(one) == "red"
        assert laboratory.label(two, results="/srv/dm2/results") == "green"
        assert machine.at(f"{STATE}/dm2/journal.sqlite3").exists()
        tagged = machine.run("journalctl", "--no-pager", "-t", "edge-daemon-dm2").stdout
        assert "labelling images" in tagged
        # It can write neither the other's results nor its journal.
        pid = machine.show(unit, "MainPID")
        for path in (f"{RESULTS}/.x", f"{STATE}/.x"):
            touch = ("nsenter", "-t", pid, "-m", "touch", path)
            assert "Read-only" in machine.run(*touch, is_checked=False).stderr
    finally:
        machine.run("systemctl", "stop", unit)
    shutil.rmtree(machine.at("/srv/dm2"))


class AddDropIn(Protocol):
    """The fixture `drop_in`."""

    def __call__(self, name: str, text: str | None = None) -> None: ...


@pytest.fixture
def drop_in(laboratory: Laboratory) -> Iterator[AddDropIn]:
    """Adds drop-ins to the unit and starts it anew."""
    machine = laboratory.machine
    folder = machine.at(f"/etc/systemd/system/{UNIT}.d")
    added: list[Path] = []

    def add(name: str, text: str | None = None) -> None:
        source = ROOT / "systemd" / "drop-ins" / name
        added.append(folder / name)
        added[-1].write_text(source.read_text() if text is None else text)
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", UNIT, is_checked=False)

    yield add
    for path in added:
        path.unlink()
    machine.run("systemctl", "daemon-reload")


def test_gpu_drop_in_where_there_is_no_gpu_labels_on_the_cpu(
    laboratory: Laboratory, drop_in: AddDropIn
) -> None:
    machine = laboratory.machine
    drop_in("gpu.conf")
    assert machine.show(UNIT, "ActiveState") == "active"
    assert laboratory.label(laboratory.export("red")) == "red"
    # The driver's release is read beside this file.
    pid = str(laboratory.pid())
    seen = machine.run("nsenter", "-t", pid, "-m", "cat", "/proc/version").stdout
    assert seen.startswith("Linux version")
    assert machine.show(UNIT, "DevicePolicy") == "closed"


def test_metrics_drop_in_lets_the_machine_reach_a_port_of_loopback(
    laboratory: Laboratory, drop_in: AddDropIn
) -> None:
    machine = laboratory.machine
    server = f"{PYTHON} -m http.server --bind 127.0.0.1 9464 --directory /usr/share"
    drop_in(
        "server.conf",
        "[Service]\nType=exec\nWatchdogSec=0\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\n"
        f"ExecStart=\nExecStart={server}\n",
    )

    def is_reached() -> bool:
        command = ("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9464")
        return machine.run(*command, is_checked=False).returncode == 0

    # The unit alone has no network at all.
    until(lambda: "not supported" in machine.log(UNIT))
    assert not is_reached()
    drop_in("metrics.conf")
    until(is_reached)
