"""Run the daemon's commands as a user who owns nothing, wherever this checkout lies."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from tests.support.site import ROOT

NOBODY: Final = 65534
# Bound into a place that everybody may enter; the mounts end with the command.
_SCRIPT: Final = """
set -e
for name in python packages checkout; do mkdir -p "$PLACE/$name"; done
mount --bind "$PYTHON_FOLDER" "$PLACE/python"
mount --bind "$PACKAGES_FOLDER" "$PLACE/packages"
mount --bind "$CHECKOUT_FOLDER" "$PLACE/checkout"
cd "$PLACE/checkout"
exec "$@"
"""


def run_as_nobody(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `edge-daemon WORDS` as nobody, without any capability.

    Args:
        folder: that everybody may enter; gets the mount points.
        words: the command's words.
    """
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    as_nobody += ["--bounding-set=-all", "--no-new-privs"]
    python = folder / "python" / "bin" / Path(sys.executable).resolve().name
    command = [*as_nobody, str(python), "-P", "-m", "daemon.cli", *words]
    environment = {
        **os.environ,
        "PLACE": str(folder),
        "PYTHON_FOLDER": sys.base_prefix,
        "PACKAGES_FOLDER": sysconfig.get_path("purelib"),
        "CHECKOUT_FOLDER": str(ROOT),
        "LD_LIBRARY_PATH": str(folder / "python" / "lib"),
        "PYTHONPATH": f"{folder / 'checkout'}:{folder / 'packages'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
    }
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", _SCRIPT, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
