"""The service under a real systemd, with the real unit as `edge-daemon install` writes it.

    pytest tests/faults/machine/service      # as root, with systemd-nspawn

Where systemd-nspawn is not installed, SYSTEMD_NSPAWN may name it; otherwise these tests are
skipped, and tests/faults/machine/test_notify_protocol.py alone holds what the daemon tells systemd.
"""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.machine.systemd_lab import (
    BUNDLE,
    CONFIG,
    EXPORT,
    PROGRAM,
    RECOVERED_S,
    RESULTS,
    STATE,
    UNIT,
    Laboratory,
)
from tests.support.waiting import until


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
