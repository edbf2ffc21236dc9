"""Locks on files and folders, which the kernel drops when the process ends, however it ends."""

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
# The one byte that a daemon marks as its own: "edge" in ASCII, where nobody else has a reason to.
_MARK_AT: Final = 0x65646765
# A lock file that is replaced between its opening and its locking is opened again.
_TRIES: Final = 5
_REMOVE: Final = "Remove it while no daemon runs, and start again."


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


def lock_file(
    folder: OpenFolder, name: str, refusal: Callable[[int], str], *, flags: int, mode: int
) -> int:
    """A descriptor of a lock file, made where it is missing, that this process holds.

    Args:
        folder: that the file is in, and that others may write to.
        name: of the file.
        refusal: what to say, from the descriptor, where another process holds it.
        flags: `os.O_RDONLY` or `os.O_RDWR`.
        mode: of a file that is made.

    Raises:
        InUseError: another process holds it.
        StorageError: what has this name is no lock file.
        OSError: it cannot be made, or the file system has no locks.
    """
    for _ in range(_TRIES):
        descriptor = _open_lock_file(folder, name, flags, mode)
        with closed_on_error(descriptor):
            take_lock(descriptor, lambda: refusal(descriptor))  # noqa: B023 - called at once
            if is_named(descriptor, folder.descriptor, name):
                return descriptor
        os.close(descriptor)
    raise StorageError(f"{folder.path / name} is replaced over and over. Stop what replaces it.")


def is_named(descriptor: int, folder: int, name: str) -> bool:
    """Whether an open file still has its name; True where that cannot be told now."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return os.path.samestat(os.fstat(descriptor), status)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def mark(descriptor: int) -> None:
    """Have other daemons see that it is a daemon that holds this, until the descriptor is closed.

    flock(2) on a folder is taken by anybody who may read it, such as a backup. This mark, a lock
    on one byte far beyond any content, is not taken by chance.
    """
    # Not every file system can: there a lock is taken for a daemon's.
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _byte(fcntl.F_RDLCK))


def is_marked(descriptor: int) -> bool | None:
    """Whether a daemon has marked it through another descriptor; None: no telling there."""
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _byte(fcntl.F_WRLCK))
    except OSError:
        return None
    kind: int = _FLOCK.unpack(found)[0]
    return kind != fcntl.F_UNLCK


def lock_holder(descriptor: int) -> str:
    """Who holds the lock, in words, so that nothing need be written to the lock file."""
    pid = locking_process(os.fstat(descriptor).st_ino)
    return "another process" if pid is None else f"process {pid}"


def locking_process(inode: int, locks: Path = LOCKS) -> int | None:
    """The process that holds a file's flock(2), by the kernel's list.

    None: nobody does, or the list cannot be seen, as from the hardened service.
    """
    with suppress(OSError):
        for line in locks.read_text().splitlines():
            fields = line.split()
            # Without the device: on btrfs the list names another one than stat does. `->` marks a
            # process that waits for the lock.
            is_held = "FLOCK" in fields and "->" not in fields
            if is_held and fields[-3].endswith(f":{inode}"):
                return int(fields[-4])
    return None


@contextmanager
def closed_on_error(descriptor: int) -> Iterator[None]:
    """Close a descriptor where the block fails."""
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
        text = f"{path} is no lock file but a link, folder or pipe. {_REMOVE}"
        raise StorageError(text) from error
    except PermissionError as error:
        if not os.path.lexists(path):
            raise
        owner = path.lstat().st_uid
        text = f"{path} belongs to user {owner} and cannot be opened by this one. {_REMOVE}"
        raise StorageError(text) from error
    with closed_on_error(descriptor):
        # It may be another file of ours, whose content a lock file would lose.
        if os.fstat(descriptor).st_nlink > 1:
            raise StorageError(f"{path} is no lock file but a second name of a file. {_REMOVE}")
    return descriptor


def _byte(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, _MARK_AT, 1, 0)
