"""Tests for the files under systemd/: with systemd's own tools, where they are installed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from daemon.config.config import MAX_WORKERS
from tests.support.images import Jpeg
from tests.support.machine.unit_files import (
    DROP_INS,
    FOLDER,
    exposure,
    found_in,
    machine,
    needs_systemd,
    run,
    settings,
    systemd_version,
)
from tests.support.site import Site
from tests.support.waiting import until

# What may differ between the daemon of a machine and the daemon of one analyzer.
INSTANCE_KEYS = {
    "Description",
    "ExecStart",
    "SyslogIdentifier",
    "StateDirectory",
    "RuntimeDirectory",
    "ReadWritePaths",
}
# What a hardened unit reaches whose results a group may read.
MAX_EXPOSURE = {None: 0.2, "share": 0.2, "gpu": 0.4, "metrics": 1.1}
NOTIFY_RELOAD_SINCE = 253

each_unit = pytest.mark.parametrize("unit", ["edge-daemon.service", "edge-daemon@dm96.service"])


@needs_systemd
@each_unit
@pytest.mark.parametrize("drop_in", [None, "gpu", "share", "metrics", "notify-reload"])
def test_unit_with_each_drop_in_is_valid(tmp_path: Path, unit: str, drop_in: str | None) -> None:
    if drop_in == "notify-reload" and systemd_version() < NOTIFY_RELOAD_SINCE:
        pytest.skip(f"Type=notify-reload needs systemd {NOTIFY_RELOAD_SINCE}")
    # systemd-analyze wants program, user and group to exist on this machine.
    here = {
        "/opt/microscope-edge/bin/edge-daemon": shutil.which("true") or "",
        "=edge\n": "=root\n",
        "=labshare": "=root",
    }
    machine(tmp_path, unit, drop_in, here)
    result = run("systemd-analyze", "verify", unit, environment=found_in(tmp_path))
    assert result.stdout + result.stderr == ""


@needs_systemd
@each_unit
@pytest.mark.parametrize("drop_in", MAX_EXPOSURE)
def test_exposure_with_each_drop_in_is_low(tmp_path: Path, unit: str, drop_in: str | None) -> None:
    machine(tmp_path, unit, drop_in, {})
    assert exposure(tmp_path, unit) <= MAX_EXPOSURE[drop_in]


def test_units_differ_only_in_what_names_the_analyzer() -> None:
    one = settings(FOLDER / "edge-daemon.service")
    each = settings(FOLDER / "edge-daemon@.service")
    assert [key for key, _ in one] == [key for key, _ in each]
    differing = {key for (key, line), (_, other) in zip(one, each, strict=True) if line != other}
    assert differing == INSTANCE_KEYS
    assert all("%i" in line for key, line in each if key in INSTANCE_KEYS)


@pytest.mark.parametrize("unit", ["edge-daemon.service", "edge-daemon@.service"])
def test_unit_brings_a_hanging_daemon_back_within_30_s(unit: str) -> None:
    keys = dict(settings(FOLDER / unit))
    delays = ("WatchdogSec", "TimeoutAbortSec", "RestartSec")
    seconds = [float(keys[key].partition("=")[2]) for key in delays]
    # What is left is for the start, which takes 2 to 4 s with the golden images.
    assert sum(seconds) <= 20
    assert keys["Restart"] == "Restart=on-failure"
    assert keys["RestartPreventExitStatus"] == "RestartPreventExitStatus=2"
    assert keys["StartLimitIntervalSec"] == "StartLimitIntervalSec=0"


def test_unit_allows_the_threads_of_the_most_workers(site: Site, colour_jpeg: Jpeg) -> None:
    keys = dict(settings(FOLDER / "edge-daemon.service"))
    allowed = int(keys["TasksMax"].partition("=")[2])
    site.settings["workers"] = MAX_WORKERS
    site.settings["metrics"] = {"listen": f"unix:{site.folder}/m.sock"}
    for number in range(3):
        (site.folder / f"export-{number}").mkdir()
        site.settings["watch"].append({"folder": f"export-{number}"})
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    process = site.start("run")
    try:
        until(lambda: any(site.results.rglob("*.json")))
        until((site.folder / "m.sock").exists)
        threads = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert MAX_WORKERS < threads <= allowed


def test_gpu_drop_in_opens_the_gpu_and_no_other_device() -> None:
    lines = [line for _, line in settings(DROP_INS / "gpu.conf")]
    allowed = [line for line in lines if line.startswith("DeviceAllow=")]
    assert allowed
    assert all(re.fullmatch("DeviceAllow=char-nvidia[a-z-]* rw", line) for line in allowed)
    assert "DevicePolicy=closed" in lines
    # /proc/driver/nvidia/version, from which the driver's release is read.
    assert "ProcSubset=all" in lines


def test_metrics_drop_in_opens_loopback_alone() -> None:
    lines = [line for _, line in settings(DROP_INS / "metrics.conf")]
    assert lines == [
        "[Service]",
        "PrivateNetwork=no",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        "RestrictAddressFamilies=AF_INET",
    ]


@needs_systemd
def test_sysusers_and_tmpfiles_make_what_the_unit_needs(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", FOLDER / "edge-daemon.sysusers.conf")
    assert "\nedge:" in "\n" + (tmp_path / "etc" / "passwd").read_text()
    if os.geteuid() != 0:
        pytest.skip("only root can give folders to the service's user")
    run(
        *("systemd-tmpfiles", f"--root={tmp_path}", "--create"),
        FOLDER / "edge-daemon.tmpfiles.conf",
    )
    state, results = tmp_path / "var/lib/microscope-edge", tmp_path / "srv/dm96/results"
    assert (state.stat().st_mode & 0o7777, results.stat().st_mode & 0o7777) == (0o700, 0o2750)
    assert state.stat().st_uid == results.stat().st_uid != 0
