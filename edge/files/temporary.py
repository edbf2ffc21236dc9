"""Names of files that are being written, and what a killed process left of them."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.files.open_folder import open_folder

# Short whatever the target's name, so that a target of 255 bytes still has a temporary file.
TEMPORARY_PREFIX: Final = ".edge-"
TEMPORARY_SUFFIX: Final = ".tmp"
# Without the dot on a share that refuses hidden names.
_TEMPORARY: Final = re.compile(r"\.?edge-(?P<pid>[0-9]+)-[0-9a-f]+\.tmp")
# A temporary file of a process that is at work is older than this only where its disk hangs.
_STALE_AFTER_S: Final = 10.0


def temporary_name() -> str:
    """A new name, of this process."""
    return f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{TEMPORARY_SUFFIX}"


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that is being written here, or was."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(folder: Path, *, older_than_s: float) -> int:
    """Delete temporary files that a killed process left in `folder`; returns how many."""
    with open_folder(folder) as opened, os.scandir(opened.descriptor) as entries:
        names = [entry.name for entry in entries if is_temporary(entry.name)]
        return sum(_remove_old(opened.descriptor, name, older_than_s) for name in names)


def remove_if_stale(folder: Path, name: str) -> None:
    """Delete a temporary file of a process that is dead, wherever somebody comes across it."""
    match = _TEMPORARY.fullmatch(name)
    if match is not None and not _is_alive(int(match["pid"])):
        with suppress(OSError), open_folder(folder) as opened:
            _remove_old(opened.descriptor, name, _STALE_AFTER_S)


def _remove_old(folder: int, name: str, older_than_s: float) -> bool:
    """Delete a file that is regular, this user's own, and as old."""
    with suppress(OSError):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        is_own = status.st_uid == os.geteuid() or os.geteuid() == 0
        is_old = status.st_mtime < time.time() - older_than_s
        if is_own and is_old and stat.S_ISREG(status.st_mode):
            os.unlink(name, dir_fd=folder)
            return True
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
