"""Locks on files and folders, which the kernel drops when the process ends in any way."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.files.open_folder import OpenFolder
from edge.files.safe_open import NotRegularError, open_regular

LOCKS: Final = Path("/proc/locks")
# struct flock of 64-bit Linux, see fcntl(2): type, whence, start, length, process.
_FLOCK: Final = struct.Struct("hhqqi4x")
# Offset of the byte that a daemon locks as its mark: "edge" in ASCII, far beyond any content.
_MARK_AT: Final = 0x65646765
# How often a lock file that is replaced before it is locked is opened again.
_TRIES: Final = 5
_REMOVE: Final = "Remove it while no daemon runs, and start again."


class InUseError(StorageError):
    """Another process holds a lock. Waiting does not help, as a person must stop that process."""


def take_lock(descriptor: int, refusal: Callable[[], str]) -> None:
    """Lock an open file or folder for this process until the descriptor is closed.

    Args:
        descriptor: of the file or folder.
        refusal: gives the text of InUseError.

    Raises:
        InUseError: another process has locked it.
        OSError: the file system has no locks, or does not answer.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InUseError(refusal()) from error


def lock_file(
    folder: OpenFolder, name: str, refusal: Callable[[int], str], *, flags: int, mode: int
) -> int:
    """Make a lock file if it is missing, and lock it; returns its descriptor.

    Args:
        folder: the file's folder, which others may write to.
        name: the file's name.
        refusal: gives the text of InUseError, from the descriptor.
        flags: `os.O_RDONLY` or `os.O_RDWR`.
        mode: permissions of a new file.

    Raises:
        InUseError: another process has locked it.
        StorageError: the name is taken by something that is not a lock file.
        OSError: it cannot be made, or the file system has no locks.
    """
    for _ in range(_TRIES):
        descriptor = _open_lock_file(folder, name, flags, mode)
        with closed_on_error(descriptor):
            take_lock(descriptor, lambda: refusal(descriptor))  # noqa: B023 - called at once
            if is_named(descriptor, folder.descriptor, name):
                return descriptor
        os.close(descriptor)
    raise StorageError(
        f"{folder.path / name} is replaced again and again. Stop the program that replaces it."
    )


def is_named(descriptor: int, folder: int, name: str) -> bool:
    """Whether an open file still has its name; True if that cannot be known now."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return os.path.samestat(os.fstat(descriptor), status)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def mark(descriptor: int) -> None:
    """Show other daemons that a daemon has locked this, until the descriptor is closed.

    Anyone who may read a folder, such as a backup program, can lock it with flock(2). The mark is a
    second lock on one byte far beyond any content, which other programs do not take.
    """
    # Not every file system supports it; there every lock counts as a daemon's.
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _byte(fcntl.F_RDLCK))


def is_marked(descriptor: int) -> bool | None:
    """Whether a daemon has marked it through another descriptor; None: not supported."""
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _byte(fcntl.F_WRLCK))
    except OSError:
        return None
    kind: int = _FLOCK.unpack(found)[0]
    return kind != fcntl.F_UNLCK


def lock_holder(descriptor: int) -> str:
    """The process that holds the lock, in words, from the kernel's list of locks."""
    pid = locking_process(os.fstat(descriptor).st_ino)
    return "another process" if pid is None else f"process {pid}"


def locking_process(inode: int, locks: Path = LOCKS) -> int | None:
    """The process that holds a file's flock(2), from the kernel's list.

    None: there is none, or the list is hidden, as in the unit's sandbox.
    """
    with suppress(OSError):
        for line in locks.read_text().splitlines():
            fields = line.split()
            # Compared without the device, which differs from stat's on btrfs. `->` marks a process
            # that waits for the lock.
            is_held = "FLOCK" in fields and "->" not in fields
            if is_held and fields[-3].endswith(f":{inode}"):
                return int(fields[-4])
    return None


@contextmanager
def closed_on_error(descriptor: int) -> Iterator[None]:
    """Close a descriptor if the block raises."""
    try:
        yield
    except BaseException:
        os.close(descriptor)
        raise


def _open_lock_file(folder: OpenFolder, name: str, flags: int, mode: int) -> int:
    path = folder.path / name
    try:
        descriptor = open_regular(name, flags | os.O_CREAT, mode, dir_fd=folder.descriptor)
    except NotRegularError as error:
        text = f"{path} is not a lock file but a link, folder or pipe. {_REMOVE}"
        raise StorageError(text) from error
    except PermissionError as error:
        if not os.path.lexists(path):
            raise
        owner = path.lstat().st_uid
        text = f"{path} belongs to user {owner} and cannot be opened by this one. {_REMOVE}"
        raise StorageError(text) from error
    with closed_on_error(descriptor):
        # Its content would be overwritten, and it may be a hard link to another file of this user.
        if os.fstat(descriptor).st_nlink > 1:
            raise StorageError(f"{path} is not a lock file but a hard link. {_REMOVE}")
    return descriptor


def _byte(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, _MARK_AT, 1, 0)
