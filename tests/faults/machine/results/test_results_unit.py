"""The unit of edge-results under a real systemd.

pytest tests/faults/machine/results      # as root, with systemd-nspawn
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.machine.results.conftest import (
    DROP,
    SITE,
    STATE,
    UNIT,
    Laboratory,
)
from tests.support.machine.systemd_lab import PYTHON, ROOT
from tests.support.waiting import until

# The unit gives 30 s; an MLLP answer may take as long, and must not be waited for.
STOPPED_S = 10.0


def test_start_is_ready_and_drops_a_file_that_only_the_importers_group_may_read(
    laboratory: Laboratory,
) -> None:
    machine = laboratory.machine
    assert machine.show(UNIT, "ActiveState") == "active"
    began = int(machine.show(UNIT, "ExecMainStartTimestampMonotonic"))
    # Without READY=1 the unit would be active at once; loading the program takes longer.
    assert int(machine.show(UNIT, "ActiveEnterTimestampMonotonic")) - began > 100_000
    sample = laboratory.slide()
    laboratory.await_dropped(sample)
    (file,) = laboratory.visible()
    shown = machine.run("stat", "-c", "%U:%G %a", f"{DROP}/{file.name}").stdout.strip()
    assert shown == "edge:lis 640"
    read = ["cat", f"{DROP}/{file.name}"]
    importer = ["setpriv", "--reuid=daemon", "--regid=lis", "--clear-groups"]
    assert sample in machine.run(*importer, *read).stdout
    other = ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"]
    assert "Permission denied" in machine.run(*other, *read, is_checked=False).stderr
    state = machine.run("stat", "-c", "%U:%G %a", STATE, f"{STATE}/outbox.sqlite3").stdout
    assert state.split("\n")[:2] == ["edge:edge 700", "edge:edge 600"]
    until(lambda: machine.show(UNIT, "StatusText") == "1 sent", poll_s=0.1)
    assert sample not in machine.log(UNIT)


def test_hardening_of_the_unit_holds_in_the_running_process(laboratory: Laboratory) -> None:
    machine, pid = laboratory.machine, str(laboratory.pid())
    status = machine.run("cat", f"/proc/{pid}/status").stdout
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split()[0] == machine.run("id", "-u", "edge").stdout.strip() != "0"
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    # One for each core would be beyond TasksMax= of a large machine.
    assert fields["Threads"].strip() == "1"
    for folder in (f"{SITE}/results", f"{SITE}/export", f"{SITE}/verifications", "/etc", "/usr"):
        command = ("nsenter", "-t", pid, "-m", "touch", f"{folder}/.x")
        assert "Read-only" in machine.run(*command, is_checked=False).stderr, folder
    links = machine.run("cat", f"/proc/{pid}/net/dev").stdout.splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in links] == ["lo"]


def test_killed_service_goes_on_and_doubles_nothing(laboratory: Laboratory) -> None:
    machine = laboratory.machine
    # Each process is killed with its second file, which is there while the outbox does not know.
    text = "[Service]\nEnvironment=EDGE_FAILPOINTS=send.file_put=kill@2\n"
    drop_in = laboratory.drop_in("kill.conf", text)
    try:
        machine.run("systemctl", "restart", UNIT)
        samples = [laboratory.slide() for _ in range(2)]
        laboratory.await_dropped(*samples)
        until(lambda: machine.log(UNIT).endswith("revision 1 (preliminary)\n"), poll_s=0.1)
        assert machine.show(UNIT, "NRestarts") == "1"
        assert laboratory.dropped() == samples
    finally:
        drop_in.unlink()
        machine.run("systemctl", "stop", UNIT)
        machine.run("systemctl", "daemon-reload")


def test_reload_takes_a_right_configuration_of_results_and_refuses_a_wrong_one(
    laboratory: Laboratory,
) -> None:
    machine, before = laboratory.machine, laboratory.pid()
    laboratory.configure(poll_s=-1)
    machine.run("systemctl", "reload", UNIT)
    until(lambda: "configuration of before is kept" in machine.log(UNIT), poll_s=0.1)
    assert "poll_s" in machine.log(UNIT)
    laboratory.await_dropped(laboratory.slide())
    laboratory.forget_dropped()
    laboratory.configure(poll_s=0.2)
    laboratory.target(format="generic", drop=DROP)
    machine.run("systemctl", "reload", UNIT)
    until(lambda: "configuration was read again" in machine.log(UNIT), poll_s=0.1)
    laboratory.slide()
    until(laboratory.visible, poll_s=0.05)
    assert [path.suffix for path in laboratory.visible()] == [".csv"]
    assert machine.show(UNIT, "ActiveState") == "active"
    assert laboratory.pid() == before


def test_drop_share_mounted_anew_gets_the_next_files_and_the_bare_folder_none(
    laboratory: Laboratory,
) -> None:
    machine, before = laboratory.machine, laboratory.pid()
    # Under a share lies a folder that only root may write to.
    machine.run("chmod", "0755", DROP)
    group = machine.run("getent", "group", "lis").stdout.split(":")[2]
    mount = ["mount", "-t", "tmpfs", "-o", f"mode=2770,gid={group}", "share", DROP]
    machine.run(*mount)
    try:
        laboratory.await_dropped(laboratory.slide())
        machine.run("umount", "--lazy", DROP)
        there = [path.name for path in laboratory.visible()]
        sample = laboratory.slide()
        until(lambda: f"could not write {DROP}" in machine.log(UNIT), poll_s=0.1)
        assert [path.name for path in laboratory.visible()] == there
        machine.run(*mount)
        laboratory.await_dropped(sample)
        assert laboratory.dropped() == [sample]
        assert laboratory.pid() == before
    finally:
        machine.run("umount", "--lazy", DROP)
        machine.run("chmod", "2770", DROP)


@pytest.fixture
def receiver(laboratory: Laboratory) -> Iterator[Path]:
    """A receiver at port 6661 of the machine; what it takes is in a folder."""
    machine = laboratory.machine
    words = ["systemd-run", "--unit=receiver", "--setenv=LD_LIBRARY_PATH=/opt/python/lib"]
    words += ["--setenv=PYTHONPATH=/opt/checkout:/opt/packages"]
    machine.run("mkdir", "/run/received")
    machine.run(*words, PYTHON, "-P", "-m", "tests.support.mllp_to_files", "/run/received", "6661")
    yield machine.at("/run/received")
    machine.run("systemctl", "stop", "receiver")
    machine.run("rm", "-r", "/run/received")


def test_mllp_drop_in_opens_the_way_to_a_receiver_and_stop_waits_for_no_answer(
    laboratory: Laboratory, receiver: Path
) -> None:
    machine = laboratory.machine
    laboratory.target("receiver", format="hl7-oru", mllp="127.0.0.1:6661")
    machine.run("systemctl", "reload", UNIT)
    sample = laboratory.slide()
    until(lambda: "receiver: 127.0.0.1:6661" in machine.log(UNIT), poll_s=0.1)
    assert list(receiver.iterdir()) == []

    text = (ROOT / "systemd/drop-ins/mllp.conf").read_text()
    drop_in = laboratory.drop_in("mllp.conf", text.replace("192.0.2.10", "127.0.0.1"))
    try:
        machine.run("systemctl", "restart", UNIT)
        until(lambda: list(receiver.iterdir()), poll_s=0.1)
        (message,) = receiver.iterdir()
        assert sample.encode() in message.read_bytes()
        # Whether the kernel drops the rest depends on its BPF, which a container may lack.
        assert machine.show(UNIT, "IPAddressAllow") == "127.0.0.1/32"
        assert set(machine.show(UNIT, "IPAddressDeny").split()) == {"0.0.0.0/0", "::/0"}
        # From now on it answers nothing.
        (receiver / "silent").touch()
        laboratory.slide()
        until(lambda: len(list(receiver.glob("message-*"))) == 2, poll_s=0.1)
        began_s = time.monotonic()
        machine.run("systemctl", "stop", UNIT)
        assert time.monotonic() - began_s < STOPPED_S
        assert machine.show(UNIT, "Result") == "success"
    finally:
        drop_in.unlink()
        machine.run("systemctl", "daemon-reload")


def test_wrong_configuration_of_results_fails_once_and_says_why(laboratory: Laboratory) -> None:
    machine = laboratory.machine
    machine.run("systemctl", "stop", UNIT)
    laboratory.configure(poll=3)
    assert machine.run("systemctl", "start", UNIT, is_checked=False).returncode != 0
    # A restart to come would be "activating" (auto-restart).
    assert machine.show(UNIT, "SubState") == "failed"
    assert machine.show(UNIT, "ExecMainStatus") == "2"
    assert machine.show(UNIT, "NRestarts") == "0"
    assert "poll is not a known key; did you mean 'poll_s'" in machine.log(UNIT)
