"""Locks on files and folders, which the kernel drops when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge.errors import StorageError


class InUseError(StorageError):
    """Another process holds it. To wait for it, as for a disk, would be to wait for a person."""


def take_lock(descriptor: int, refusal: Callable[[], str]) -> None:
    """Hold an open file or folder for this process until the descriptor is closed.

    Args:
        refusal: what to say, and do, where another process holds it.

    Raises:
        InUseError: another process holds it.
        OSError: the file system has no locks, or does not answer.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InUseError(refusal()) from error


def lock_holder(descriptor: int) -> str:
    """Who holds the lock, from /proc/locks, so that nothing need be written to the lock file."""
    inode = os.fstat(descriptor).st_ino
    # The hardened service sees no /proc/locks.
    with suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if "FLOCK" in fields and fields[-3].endswith(f":{inode}"):
                return f"process {fields[-4]}"
    return "another process"
