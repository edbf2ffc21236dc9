"""A folder in which `edge-daemon install --root` finds as much of a system as it needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

UNIT: Final = Path("etc/systemd/system/edge-daemon.service")
CONFIG: Final = Path("etc/microscope-edge/edge.yaml")

needs_root: Final = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-sysusers") is None,
    reason="only root can install, with systemd's tools",
)


def make_image(root: Path) -> Path:
    """Make it; its group file knows the group `labshare`."""
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "group").write_text("root:x:0:\nlabshare:x:2000:\n")
    return root
