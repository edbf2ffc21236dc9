"""One daemon for each export: two would label every image twice and replace each other's sidecars.

The lock of the `state_dir` does not see a second daemon that was given another one. Here the
watch folder itself is locked, which two daemons on this machine see, and a file in the tree of
the sidecars, which says who it is, and which a second machine sees where the share passes locks on.
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
from daemon.system.mounts import file_system_type
from edge.files.atomic import REFUSALS_OF_A_NAME
from edge.files.open_folder import OpenFolder, open_folder
from edge.text.printable import printable

log = logging.getLogger(__name__)

# Hidden, so that it is never taken for an image.
LOCK_NAME: Final = ".edge-daemon.lock"
# On a share that refuses hidden names.
PLAIN_LOCK_NAME: Final = LOCK_NAME.removeprefix(".")
# Whether a lock file still has its name is looked at this often.
_LOOK_S: Final = 2.0


@contextmanager
def owned_folders(watch_folders: Iterable[Path], trees: Iterable[Path]) -> Iterator[FolderLocks]:
    """Hold watch folders, and the trees that their sidecars are written to, for this process.

    The kernel drops the locks when the process ends, however it ends. A place that is away,
    refuses a lock or does not answer is said and not held: the daemon waits for it as for any
    folder that is away. One that answers late is held from then on.

    Yields the locks of the trees.

    Raises:
        InUseError: another daemon holds one of them.
    """
    with ExitStack() as stack:
        tree = LockKind(_lock_tree, _has_tree, _release_tree)
        folder = LockKind(_lock_folder, _has_folder, _release_folder)
        tree_locks = FolderLocks(tuple(trees), tree)
        folder_locks = FolderLocks(tuple(watch_folders), folder)
        # Trees first: only their locks tell a name beyond this machine.
        for locks in (tree_locks, folder_locks):
            stack.callback(locks.close)
            locks.take()
        yield tree_locks


@dataclass(frozen=True, slots=True)
class LockKind:
    """How a folder is held by a descriptor, asked whether that still holds it, and given up."""

    lock: Callable[[Path], int]
    has: Callable[[Path, int], bool]
    release: Callable[[Path, int], None]


class FolderLocks:
    """The locks of some folders. Safe to use from any thread.

    A lock keeps its file system from being unmounted. A disk that fails has to be, so that its lock
    is let go of while it refuses.
    """

    def __init__(self, folders: tuple[Path, ...], kind: LockKind) -> None:
        """Hold nothing yet."""
        self._folders = folders
        self._kind = kind
        # A share that hangs must not hold up the others.
        self._calls: dict[Path, BoundedCalls[int]] = {
            folder: BoundedCalls("folder-lock") for folder in folders
        }
        self._guard = threading.Lock()
        self._held: dict[Path, int] = {}
        # How often they were let go of: a lock that was asked for before is not wanted any more.
        self._turn = 0
        # When each is looked at again.
        self._look_s: dict[Path, float] = {}
        self._said: dict[Path, str | None] = {}

    def take(self) -> None:
        """Hold every folder that is there and not held yet.

        Raises:
            InUseError: another daemon holds one of them.
            StorageError: what has the name of a lock file is none.
        """
        with self._guard:
            for folder in self._folders:
                if folder not in self._held:
                    self._try(folder)

    def require(self, paths: Iterable[Path]) -> None:
        """Hold the folders that `paths` lie in; anew, where a lock was removed or replaced.

        It is looked at every few seconds. In between this costs nothing.

        Raises:
            InUseError: another daemon holds one of them.
            StorageError: what has the name of a lock file is none.
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
                log.warning("the lock on %s was removed or replaced; it is new", folder)

    def release(self) -> None:
        """Hold none of them."""
        with self._guard:
            self._turn += 1
            self._look_s.clear()
            held = {
                folder: partial(self._kind.release, folder, descriptor)
                for folder, descriptor in self._held.items()
            }
            self._held.clear()
            # One that does not answer is let go of when it does.
            call_each(held, ANSWER_S, "folder-unlock")

    def close(self) -> None:
        """Hold none of them, and end the threads."""
        self.release()
        for calls in self._calls.values():
            calls.stop()

    def _try(self, folder: Path) -> None:
        on_late = partial(self._hold_late, folder, self._turn)
        try:
            found = self._calls[folder].call(lambda: self._kind.lock(folder), ANSWER_S, on_late)
        except TimeoutError:
            reason: str | None = "it does not answer"
        except FileNotFoundError:
            return  # said by the scan
        except OSError as error:
            reason = error.strerror
        else:
            self._held[folder] = found
            self._said.pop(folder, None)
            return
        if self._said.get(folder, "") != reason:
            self._said[folder] = reason
            log.warning("%s cannot be locked against a second daemon (%s)", folder, reason)

    def _has(self, folder: Path) -> bool:
        descriptor = self._held[folder]
        try:
            call = self._calls[folder].call
            return bool(call(lambda: self._kind.has(folder, descriptor), ANSWER_S))
        except (TimeoutError, OSError):
            # What is away is said by the scan, or by the write.
            return True

    def _hold_late(self, folder: Path, turn: int, descriptor: int) -> None:
        with self._guard:
            if turn == self._turn:
                self._held[folder] = descriptor
                log.warning("%s answers and is locked against a second daemon", folder)
                return
        # Left open, it would turn away this process itself when it opens the folder anew.
        self._kind.release(folder, descriptor)


def _lock_tree(tree: Path) -> int:
    # Open for writing it would keep the file system from being remounted read-only. Over NFS
    # flock(2) is a lock on a range, which needs just that.
    flags = os.O_RDWR if file_system_type(tree).startswith("nfs") else os.O_RDONLY
    with open_folder(tree) as folder:
        descriptor = _lock_file_in(folder, flags)
        folder.give(descriptor)
    # A full disk keeps the name from being told, not the lock from being held.
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
        if error.errno not in REFUSALS_OF_A_NAME:
            raise
        with suppress(OSError):
            return lock_file(folder, PLAIN_LOCK_NAME, refusal, flags=flags, mode=0o644)
        raise


def _write(descriptor: int, text: bytes) -> None:
    # The very file that is held, whatever its name is given to.
    flags = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
    writing = os.open(f"/proc/self/fd/{descriptor}", flags)
    try:
        os.write(writing, text)
    finally:
        os.close(writing)


def _named_holder(descriptor: int) -> str:
    text = os.pread(descriptor, 500, 0).decode(errors="replace")
    # A machine that lost power may leave zeros where the text was.
    line = text.partition("\n")[0].strip("\0 ")
    return printable(line) or lock_holder(descriptor)


def _has_tree(tree: Path, descriptor: int) -> bool:
    with open_folder(tree) as folder:
        names = (LOCK_NAME, PLAIN_LOCK_NAME)
        return any(is_named(descriptor, folder.descriptor, name) for name in names)


def _release_tree(_tree: Path, descriptor: int) -> None:
    # A share may be gone by now; the lock went with it.
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
            # Anybody who may read the folder can lock it. Two daemons on one export do harm only
            # where they write to one tree, and that has a lock file of its own.
            log.warning(
                "watch folder %s is locked by %s, which is no edge-daemon; labelling goes on",
                folder,
                lock_holder(descriptor),
            )
        else:
            if is_marked(descriptor):
                raise InUseError(refusal())
        mark(descriptor)
    return descriptor
