"""Locks against a second daemon on the same folders.

Two daemons on one export would label every image twice and replace each other's sidecars. The lock
in `state_dir` does not help if they have different ones. So the watch folder itself is locked,
against daemons on this machine, and a lock file in the results folder, which names its owner, also
against other machines if the share supports locks.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from daemon.system.bounded_call import ANSWER_S, BoundedCalls, call_each
from daemon.system.locks import (
    InUseError,
    closed_on_error,
    is_marked,
    is_named,
    lock_file,
    lock_holder,
    mark,
    take_lock,
)
from edge.files.open_folder import OpenFolder, open_folder
from edge.files.staged import NAME_REFUSED_ERRORS
from edge.system.mounts import file_system_type
from edge.text.printable import printable

log = logging.getLogger(__name__)

# Hidden, so that it is never taken for an image.
LOCK_NAME: Final = ".edge-daemon.lock"
# For shares that refuse hidden names.
PLAIN_LOCK_NAME: Final = LOCK_NAME.removeprefix(".")
# How often it is checked that the lock file is still in its place.
_LOOK_S: Final = 2.0


@contextmanager
def owned_folders(watch_folders: Iterable[Path], trees: Iterable[Path]) -> Iterator[FolderLocks]:
    """Lock watch folders, and the results folders (`trees`) of their sidecars, for this process.

    The kernel drops the locks when the process ends in any way. A folder that is away, cannot be
    locked or does not answer is logged and left unlocked. One that answers late is locked then.

    Yields the locks of the results folders.

    Raises:
        InUseError: another daemon has locked one of them.
    """
    with ExitStack() as stack:
        tree = LockKind(_lock_tree, _has_tree, _release_tree)
        folder = LockKind(_lock_folder, _has_folder, _release_folder)
        tree_locks = FolderLocks(tuple(trees), tree)
        folder_locks = FolderLocks(tuple(watch_folders), folder)
        # Results folders first, as only their lock files can name a daemon on another machine.
        for locks in (tree_locks, folder_locks):
            stack.callback(locks.close)
            locks.take()
        yield tree_locks


@dataclass(frozen=True, slots=True)
class LockKind:
    """How to lock a folder, check that a descriptor still locks it, and release it."""

    lock: Callable[[Path], int]
    has: Callable[[Path, int], bool]
    release: Callable[[Path, int], None]


class FolderLocks:
    """The locks of some folders. Safe to use from any thread.

    A lock keeps its file system from being unmounted, so it is released while the disk fails.
    """

    def __init__(self, folders: tuple[Path, ...], kind: LockKind) -> None:
        """Prepare, without locking anything."""
        self._folders = folders
        self._kind = kind
        # One thread per folder, as a share may hang.
        self._calls: dict[Path, BoundedCalls[int]] = {
            folder: BoundedCalls("folder-lock") for folder in folders
        }
        self._guard = threading.Lock()
        self._held: dict[Path, int] = {}
        # Incremented by `release`; a lock call begun before it is released when it returns.
        self._releases = 0
        # When each lock is checked again.
        self._look_s: dict[Path, float] = {}
        # The reason that was logged last.
        self._logged: dict[Path, str | None] = {}

    def take(self) -> None:
        """Lock every folder that is there and not locked yet.

        Raises:
            InUseError: another daemon has locked one of them.
            StorageError: the name of a lock file is taken by something else.
        """
        with self._guard:
            for folder in self._folders:
                if folder not in self._held:
                    self._try(folder)

    def require(self, paths: Iterable[Path]) -> None:
        """Check the locks of the folders that contain `paths`, and take them again if needed.

        Checks at most every few seconds; in between it returns at once.

        Raises:
            InUseError: another daemon has locked one of them.
            StorageError: the name of a lock file is taken by something else.
        """
        now_s = time.monotonic()
        for folder in {f for f in self._folders for path in paths if path.is_relative_to(f)}:
            if now_s >= self._look_s.get(folder, now_s):
                with self._guard:
                    self._require(folder)
                    self._look_s[folder] = now_s + _LOOK_S

    def _require(self, folder: Path) -> None:
        if folder not in self._held:
            self._try(folder)
        elif not self._has(folder):
            self._kind.release(folder, self._held.pop(folder))
            self._try(folder)
            if folder in self._held:
                log.warning("the lock on %s was removed or replaced; it is taken again", folder)

    def release(self) -> None:
        """Release all locks."""
        with self._guard:
            self._releases += 1
            self._look_s.clear()
            held = {
                folder: partial(self._kind.release, folder, descriptor)
                for folder, descriptor in self._held.items()
            }
            self._held.clear()
            # A folder that does not answer is released when it does.
            call_each(held, ANSWER_S, "folder-unlock")

    def close(self) -> None:
        """Release all locks, and end the threads."""
        self.release()
        for calls in self._calls.values():
            calls.stop()

    def _try(self, folder: Path) -> None:
        on_late = partial(self._hold_late, folder, self._releases)
        try:
            found = self._calls[folder].call(lambda: self._kind.lock(folder), ANSWER_S, on_late)
        except TimeoutError:
            reason: str | None = "it does not answer"
        except FileNotFoundError:
            return  # logged by the scan
        except OSError as error:
            reason = error.strerror
        else:
            self._held[folder] = found
            self._logged.pop(folder, None)
            return
        if self._logged.get(folder, "") != reason:
            self._logged[folder] = reason
            log.warning("%s cannot be locked against a second daemon (%s)", folder, reason)

    def _has(self, folder: Path) -> bool:
        descriptor = self._held[folder]
        try:
            call = self._calls[folder].call
            return bool(call(lambda: self._kind.has(folder, descriptor), ANSWER_S))
        except (TimeoutError, OSError):
            # A folder that is away is logged by the scan, or when a sidecar is written.
            return True

    def _hold_late(self, folder: Path, releases: int, descriptor: int) -> None:
        with self._guard:
            if releases == self._releases:
                self._held[folder] = descriptor
                log.warning("%s answers and is locked against a second daemon", folder)
                return
        # If it stayed locked, this process could not lock the folder again.
        self._kind.release(folder, descriptor)


def _lock_tree(tree: Path) -> int:
    # A file open for writing keeps the file system from being remounted read-only. Over NFS
    # flock(2) needs it, as it is implemented by a lock on a range.
    flags = os.O_RDWR if file_system_type(tree).startswith("nfs") else os.O_RDONLY
    with open_folder(tree) as folder:
        descriptor = _lock_file_in(folder, flags)
        folder.chown_like_folder(descriptor)
    # On a full disk the lock holds without the name in it.
    with suppress(OSError):
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        text = f"process {os.getpid()} on {socket.gethostname()} since {started}\n"
        _write(descriptor, text.encode())
    return descriptor


def _lock_file_in(folder: OpenFolder, flags: int) -> int:
    def refusal(descriptor: int) -> str:
        return (
            f"results in {folder.path} are written by {_named_holder(descriptor)}. Stop that "
            "daemon, or give this one another results.folder."
        )

    try:
        return lock_file(folder, LOCK_NAME, refusal, flags=flags, mode=0o644)
    except OSError as error:
        if error.errno not in NAME_REFUSED_ERRORS:
            raise
        with suppress(OSError):
            return lock_file(folder, PLAIN_LOCK_NAME, refusal, flags=flags, mode=0o644)
        raise


def _write(descriptor: int, text: bytes) -> None:
    # Through the descriptor, as another file may have the name by now.
    flags = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
    writing = os.open(f"/proc/self/fd/{descriptor}", flags)
    try:
        os.write(writing, text)
    finally:
        os.close(writing)


def _named_holder(descriptor: int) -> str:
    text = os.pread(descriptor, 500, 0).decode(errors="replace")
    # After a power cut the file may hold zeros.
    line = text.partition("\n")[0].strip("\0 ")
    return printable(line) or lock_holder(descriptor)


def _has_tree(tree: Path, descriptor: int) -> bool:
    with open_folder(tree) as folder:
        names = (LOCK_NAME, PLAIN_LOCK_NAME)
        return any(is_named(descriptor, folder.descriptor, name) for name in names)


def _release_tree(_tree: Path, descriptor: int) -> None:
    # If the share is gone, so is the lock.
    with suppress(OSError):
        _write(descriptor, b"")
    with suppress(OSError):
        os.close(descriptor)


def _release_folder(_folder: Path, descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)


def _has_folder(folder: Path, descriptor: int) -> bool:
    return os.path.samestat(os.fstat(descriptor), folder.stat())


def _lock_folder(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def refusal() -> str:
        return (
            f"watch folder {folder} is in use by {lock_holder(descriptor)}. Stop that daemon, "
            "or give this one another folder."
        )

    with closed_on_error(descriptor):
        try:
            take_lock(descriptor, refusal)
        except InUseError:
            if is_marked(descriptor) is not False:
                raise
            # Anyone who may read the folder can lock it, so this may be another program. Two
            # daemons do harm only if they write to one results folder, which has its own lock file.
            log.warning(
                "watch folder %s is locked by %s, which is not an edge-daemon; labelling goes on",
                folder,
                lock_holder(descriptor),
            )
        else:
            if is_marked(descriptor):
                raise InUseError(refusal())
        mark(descriptor)
    return descriptor
