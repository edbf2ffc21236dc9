"""Paths of this installation's commands, which the demonstration and the benchmark start."""

from __future__ import annotations

import sys
from pathlib import Path

from edge.errors import BackendError
from edge.system.installation import install_command


def installed_command(name: str) -> str:
    """The path of a command beside this Python.

    Raises:
        BackendError: it is not installed there.
    """
    path = Path(sys.executable).with_name(name)
    if not path.is_file():
        raise BackendError(f"{path} is not there; {install_command('convert')} first.")
    return str(path)
