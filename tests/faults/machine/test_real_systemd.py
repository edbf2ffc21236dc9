"""The service under a real systemd, with the real unit as `edge-daemon install` writes it.

    pytest tests/faults/machine/test_real_systemd.py      # as root, with systemd-nspawn

Where systemd-nspawn is not installed, SYSTEMD_NSPAWN may name it; otherwise these tests are
skipped, and tests/faults/machine/test_notify_protocol.py alone holds what the daemon tells systemd.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.images import Jpeg
from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import (
    BUNDLE,
    CONFIG,
    EXPORT,
    PROGRAM,
    PYTHON,
    RECOVERED_S,
    RESULTS,
    ROOT,
    STATE,
    UNIT,
    Laboratory,
    add_program,
    booted_machine,
)
from tests.support.waiting import until


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted_machine(tmp_path_factory.mktemp("nspawn")) as machine:
        yield machine


@pytest.fixture(scope="module")
def installed(machine: Machine, colour_jpeg: Jpeg) -> Laboratory:
    add_program(machine, colour_jpeg)
    # Only the group gets at the folders, as on a share.
    machine.run("install", "-d", "-m", "0750", "-g", "labshare", EXPORT)
    machine.run("install", "-d", "-m", "2770", "-g", "labshare", RESULTS)
    words = ["--bundle", BUNDLE, "--share", "labshare"]
    machine.run(PROGRAM, "install", *words, "--watch", EXPORT, "--results", RESULTS)
    laboratory = Laboratory(machine, colour_jpeg)
    watch = [{"folder": EXPORT}]
    laboratory.configure(watch=watch, settle_s=0.1)
    return laboratory


@pytest.fixture
def laboratory(installed: Laboratory) -> Iterator[Laboratory]:
    """The service runs; afterwards it is stopped and its configuration as before."""
    machine = installed.machine
    config = machine.at(CONFIG).read_text()
    machine.run("systemctl", "start", UNIT)
    yield installed
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "reset-failed", UNIT, is_checked=False)
    machine.at(CONFIG).write_text(config)


def test_check_config_as_the_services_user_finds_nothing_wrong(installed: Laboratory) -> None:
    words = ["runuser", "-u", "edge", "-g", "edge", "-G", "labshare", "--"]
    result = installed.machine.run(*words, PROGRAM, "check-config", "--config", CONFIG)
    assert "golden images got the right labels" in result.stdout


def test_start_waits_for_ready_and_an_image_is_labelled_with_owner_and_mode(
    laboratory: Laboratory,
) -> None:
    machine = laboratory.machine
    assert machine.show(UNIT, "ActiveState") == "active"
    began = int(machine.show(UNIT, "ExecMainStartTimestampMonotonic"))
    ready = int(machine.show(UNIT, "ActiveEnterTimestampMonotonic"))
    # Without READY=1 the unit would be active at once; the golden images take longer.
    assert ready - began > 100_000

    name = laboratory.export("green")
    content = machine.at(f"{EXPORT}/{name}").read_bytes()
    assert laboratory.label(name) == "green"
    stat = machine.run("stat", "-c", "%U:%G %a", f"{RESULTS}/{name}.json", f"{RESULTS}/{name}.csv")
    # The group is the share's, by the setgid bit of its folder.
    assert stat.stdout.split("\n")[:2] == ["edge:labshare 640", "edge:labshare 640"]
    state = machine.run("stat", "-c", "%U:%G %a", STATE, f"{STATE}/journal.sqlite3")
    assert state.stdout.split("\n")[:2] == ["edge:edge 700", "edge:edge 600"]
    assert machine.at(f"{EXPORT}/{name}").read_bytes() == content


def test_hardening_holds_in_the_running_process(laboratory: Laboratory) -> None:
    machine, pid = laboratory.machine, str(laboratory.pid())
    status = machine.run("cat", f"/proc/{pid}/status").stdout
    fields = {
        key: value.split() for key, _, value in (x.partition(":") for x in status.split("\n"))
    }
    edge = machine.run("id", "-u", "edge").stdout.strip()
    assert set(fields["Uid"]) == {edge} != {"0"}
    assert fields["NoNewPrivs"] == ["1"]
    assert fields["Seccomp"] == ["2"]
    assert int(fields["CapEff"][0], 16) == int(fields["CapBnd"][0], 16) == 0

    def touch(path: str) -> str:
        # As root within the service's mounts: what is refused, is refused by the mounts.
        command = ("nsenter", "-t", pid, "-m", "touch", path)
        return machine.run(*command, is_checked=False).stderr

    for folder in ("/usr", "/etc", "/srv", EXPORT, "/opt/microscope-edge", "/var/lib"):
        assert "Read-only file system" in touch(f"{folder}/x"), folder
    assert touch(f"{RESULTS}/.x") == touch(f"{STATE}/.x") == ""
    seen = machine.run("nsenter", "-t", pid, "-m", "ls", "/root", "/dev", is_checked=False).stdout
    assert ".pyenv" not in seen
    assert "kmsg" not in seen
    links = machine.run("cat", f"/proc/{pid}/net/dev").stdout.splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in links] == ["lo"]


def test_daemon_that_stands_still_is_restarted_within_30_s_and_labels_the_next_image(
    laboratory: Laboratory,
) -> None:
    machine, before = laboratory.machine, laboratory.pid()
    assert laboratory.label(laboratory.export("red")) == "red"
    began_s = time.monotonic()
    laboratory.signal(signal.SIGSTOP)
    name = laboratory.export("blue")
    assert laboratory.label(name, timeout_s=RECOVERED_S) == "blue"
    assert time.monotonic() - began_s < RECOVERED_S
    assert laboratory.pid() != before
    assert "Watchdog timeout" in machine.log(UNIT)
    assert laboratory.journal()[-1] == (name, "done")


def test_killed_daemon_is_restarted_and_labels_the_next_image(laboratory: Laboratory) -> None:
    before = laboratory.pid()
    laboratory.signal(signal.SIGKILL)
    name = laboratory.export("green")
    assert laboratory.label(name, timeout_s=RECOVERED_S) == "green"
    assert laboratory.pid() not in (0, before)
    assert laboratory.machine.show(UNIT, "NRestarts") == "1"


def test_wrong_configuration_fails_once_and_says_why_until_a_person_mends_it(
    laboratory: Laboratory,
) -> None:
    machine = laboratory.machine
    machine.run("systemctl", "stop", UNIT)
    right = machine.at(CONFIG).read_text()
    laboratory.configure(settle_s=-1)
    assert machine.run("systemctl", "start", UNIT, is_checked=False).returncode != 0
    # A restart to come would be "activating" (auto-restart).
    assert machine.show(UNIT, "ActiveState") == "failed"
    assert machine.show(UNIT, "SubState") == "failed"
    assert machine.show(UNIT, "ExecMainStatus") == "2"
    assert machine.show(UNIT, "NRestarts") == "0"
    assert "settle_s" in machine.log(UNIT)
    name = laboratory.export("red")
    machine.at(CONFIG).write_text(right)
    machine.run("systemctl", "start", UNIT)
    assert laboratory.label(name) == "red"


def test_bundle_that_fails_is_tried_again_until_it_is_mended(laboratory: Laboratory) -> None:
    machine = laboratory.machine
    machine.run("systemctl", "stop", UNIT)
    model = machine.at(f"{BUNDLE}/model.int8.onnx")
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    name = laboratory.export("red")
    assert machine.run("systemctl", "start", UNIT, is_checked=False).returncode != 0
    assert machine.show(UNIT, "SubState") == "auto-restart"
    assert not machine.at(f"{RESULTS}/{name}.json").exists()
    model.write_bytes(whole)
    assert laboratory.label(name, timeout_s=RECOVERED_S) == "red"


def test_stop_finishes_the_batch_in_hand_and_the_next_start_the_rest(
    laboratory: Laboratory,
) -> None:
    machine = laboratory.machine
    names = [laboratory.export("blue") for _ in range(300)]
    until(machine.at(f"{RESULTS}/{names[0]}.json").exists)
    machine.run("systemctl", "stop", UNIT)
    assert machine.show(UNIT, "Result") == "success"
    states = dict(laboratory.journal())
    assert "claimed" not in states.values()
    done = {name for name in names if machine.at(f"{RESULTS}/{name}.json").exists()}
    assert done == {name for name in names if states.get(name) == "done"}
    machine.run("systemctl", "start", UNIT)
    assert {laboratory.label(name) for name in names} == {"blue"}
    until(lambda: {state for _, state in laboratory.journal()} == {"done"})


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


def test_reload_takes_a_right_configuration_and_refuses_a_wrong_one_whole(
    laboratory: Laboratory,
) -> None:
    machine, before = laboratory.machine, laboratory.pid()
    status = machine.run("cat", f"/proc/{before}/status").stdout
    (caught,) = (x.split()[1] for x in status.splitlines() if x.startswith("SigCgt:"))
    if not int(caught, 16) & 1 << (signal.SIGHUP - 1):
        pytest.skip("this edge-daemon does not handle SIGHUP yet")
    laboratory.configure(results={"folder": RESULTS, "formats": ["json"]})
    machine.run("systemctl", "reload", UNIT)
    until(lambda: _has_formats(laboratory, {".json"}))

    laboratory.configure(results={"folder": RESULTS, "formats": ["json", "csv"]}, settle_s=-1)
    machine.run("systemctl", "reload", UNIT)
    until(lambda: "settle_s" in machine.log(UNIT).rpartition("Reloading")[2])
    assert _has_formats(laboratory, {".json"})
    assert machine.show(UNIT, "ActiveState") == "active"
    assert laboratory.pid() == before


def _has_formats(laboratory: Laboratory, formats: set[str]) -> bool:
    name = laboratory.export("red")
    assert laboratory.label(name) == "red"
    folder = laboratory.machine.at(RESULTS)
    return {path.suffix for path in folder.glob(f"{name}.*")} == formats


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
