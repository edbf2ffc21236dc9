"""The systemd of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

BOOTED: Final = Path("/run/systemd/system")


def has_systemd() -> bool:
    """Whether systemd is this system's process 1 (sd_booted(3))."""
    return BOOTED.is_dir()


def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `systemctl` and return its output and exit code."""
    argv = ["systemctl", "--no-pager", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def is_active(unit: str) -> bool:
    """Whether a unit runs here."""
    return has_systemd() and systemctl("is-active", "--quiet", unit).returncode == 0
