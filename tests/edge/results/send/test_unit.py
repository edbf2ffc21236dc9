"""Tests for the unit of edge-results: with systemd's own tools, where they are installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.results.send.config import LONGEST_ANSWER_S, LONGEST_CONNECT_S
from tests.support.machine.unit_files import (
    DROP_INS,
    FOLDER,
    exposure,
    found_in,
    machine,
    needs_systemd,
    run,
    settings,
)

UNIT = "edge-results@dm96.service"
SOURCE = FOLDER / "edge-results@.service"
MAX_EXPOSURE = {None: 0.2, "mllp": 1.2}
# What the daemon's unit closes, and this one must close as well.
OPEN_TO_DIFFER = {
    *("Description", "ExecStart", "SyslogIdentifier", "Environment", "WatchdogSec"),
    *("StateDirectory", "RuntimeDirectory", "RuntimeDirectoryPreserve", "ReadWritePaths"),
    *("MemoryMax", "TasksMax"),
}


@needs_systemd
@pytest.mark.parametrize("drop_in", MAX_EXPOSURE)
def test_unit_of_results_is_valid_and_little_exposed(tmp_path: Path, drop_in: str | None) -> None:
    here = {
        "/opt/microscope-edge/bin/edge-results": shutil.which("true") or "",
        "=edge\n": "=root\n",
    }
    machine(tmp_path, UNIT, drop_in, here)
    result = run("systemd-analyze", "verify", UNIT, environment=found_in(tmp_path))
    assert result.stdout + result.stderr == ""
    machine(tmp_path, UNIT, drop_in, {})
    assert exposure(tmp_path, UNIT) <= MAX_EXPOSURE[drop_in]


def test_unit_of_results_is_hardened_as_the_daemon_s() -> None:
    daemon = {
        line for key, line in settings(FOLDER / "edge-daemon@.service") if key not in OPEN_TO_DIFFER
    }
    ours = {line for _, line in settings(SOURCE)}
    assert daemon - ours == set()


def test_watchdog_outlasts_the_longest_attempt() -> None:
    keys = dict(settings(SOURCE))
    watchdog_s = float(keys["WatchdogSec"].partition("=")[2])
    assert watchdog_s > LONGEST_CONNECT_S + LONGEST_ANSWER_S + 60


def test_mllp_drop_in_opens_one_address_alone() -> None:
    lines = [line for _, line in settings(DROP_INS / "mllp.conf")]
    assert lines == [
        "[Service]",
        "PrivateNetwork=no",
        "IPAddressDeny=any",
        "IPAddressAllow=192.0.2.10",
        "RestrictAddressFamilies=AF_INET AF_INET6",
    ]
