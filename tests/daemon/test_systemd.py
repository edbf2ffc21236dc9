"""Tests for the files under systemd/: with systemd's own tools, where they are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "systemd"
UNIT = FOLDER / "edge-daemon.service"
# What a hardened unit reaches whose results a group may read.
MAX_EXPOSURE = 0.2

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd's tools are not installed"
)


def output(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_unit_is_valid(tmp_path: Path) -> None:
    # systemd-analyze wants the program and the user to exist on this machine.
    text = UNIT.read_text().replace(
        "/opt/microscope-edge/bin/edge-daemon", shutil.which("true") or ""
    )
    text = text.replace("User=edge", "User=root").replace("Group=edge", "Group=root")
    (tmp_path / UNIT.name).write_text(text)
    assert output("systemd-analyze", "verify", tmp_path / UNIT.name) == ""


def test_unit_exposure_is_low() -> None:
    found = re.search(
        r"exposure level for \S+: ([0-9.]+)",
        output("systemd-analyze", "security", "--offline=yes", UNIT),
    )
    assert found is not None
    assert float(found[1]) <= MAX_EXPOSURE


def test_sysusers_and_tmpfiles_make_what_the_unit_needs(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    output("systemd-sysusers", f"--root={tmp_path}", FOLDER / "edge-daemon.sysusers.conf")
    assert "\nedge:" in "\n" + (tmp_path / "etc" / "passwd").read_text()
