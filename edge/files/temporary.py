"""Names of temporary files, and the removal of those that a killed process left."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from edge.files.open_folder import open_folder

# Independent of the target's name, which may have the full 255 bytes.
TEMPORARY_PREFIX: Final = ".edge-"
TEMPORARY_SUFFIX: Final = ".tmp"
# There is no dot on shares that refuse hidden names.
_TEMPORARY: Final = re.compile(r"\.?edge-(?P<pid>[0-9]+)-[0-9a-f]+\.tmp")
# The temporary file of a live process is older than this only if its disk hangs.
_STALE_AFTER_S: Final = 10.0
# Another container may have a process with the same id. A new token for each name would cost a
# system call for each file.
_TOKEN: Final = secrets.token_hex(6)
_numbers: Final = count()


def temporary_name() -> str:
    """A new name that contains this process's id."""
    return f"{TEMPORARY_PREFIX}{os.getpid()}-{_TOKEN}{next(_numbers):x}{TEMPORARY_SUFFIX}"


def is_temporary(name: str) -> bool:
    """Whether this is the name of a temporary file of this program."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(folder: Path, *, older_than_s: float) -> int:
    """Delete temporary files that a killed process left in `folder`; returns how many."""
    with open_folder(folder) as opened, os.scandir(opened.descriptor) as entries:
        names = [entry.name for entry in entries if is_temporary(entry.name)]
        return sum(_remove_old(opened.descriptor, name, older_than_s) for name in names)


def remove_if_stale(folder: Path, name: str) -> None:
    """Delete this file if it is a temporary file of a process that no longer exists."""
    match = _TEMPORARY.fullmatch(name)
    if match is not None and not _is_alive(int(match["pid"])):
        with suppress(OSError), open_folder(folder) as opened:
            _remove_old(opened.descriptor, name, _STALE_AFTER_S)


def _remove_old(folder: int, name: str, older_than_s: float) -> bool:
    """Delete a regular file of this user (root: of any user) that is older; whether it did."""
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
