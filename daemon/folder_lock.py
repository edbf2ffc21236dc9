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
from functools import partial
from pathlib import Path
from typing import Final

from daemon.bounded_call import ANSWER_S, BoundedCalls, call_each
from daemon.file_lock import lock_holder, take_lock
from daemon.mounts import file_system_type
from edge.atomic import make_folder
from edge.errors import StorageError
from edge.printable import printable

log = logging.getLogger(__name__)

# Hidden, so that it is never taken for an image.
LOCK_NAME: Final = ".edge-daemon.lock"


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
        calls: BoundedCalls[int] = BoundedCalls("folder-lock")
        stack.callback(calls.stop)
        tree_locks = FolderLocks(tuple(trees), _lock_tree, _release_tree, calls)
        folder_locks = FolderLocks(tuple(watch_folders), _lock_folder, _release_folder, calls)
        # Trees first: only their locks tell a name beyond this machine.
        for locks in (tree_locks, folder_locks):
            stack.callback(locks.let_go)
            locks.take()
        yield tree_locks


class FolderLocks:
    """The locks of some folders. Safe to use from any thread.

    A lock keeps its file system from being unmounted. A disk that fails has to be, so that its lock
    is let go of while it refuses.
    """

    def __init__(
        self,
        folders: tuple[Path, ...],
        lock: Callable[[Path], int],
        release: Callable[[Path, int], None],
        calls: BoundedCalls[int],
    ) -> None:
        """Hold nothing yet.

        Args:
            folders: to be held.
            lock: gives a descriptor that holds one.
            release: gives it up.
            calls: what may hang is done there.
        """
        self._folders = folders
        self._lock = lock
        self._release = release
        self._calls = calls
        self._guard = threading.Lock()
        self._held: dict[Path, int] = {}
        # How often they were let go of: a lock that was asked for before is not wanted any more.
        self._turn = 0

    def take(self) -> None:
        """Hold every folder that is there and not held yet.

        Raises:
            InUseError: another daemon holds one of them.
        """
        with self._guard:
            for folder in self._folders:
                if folder not in self._held:
                    self._try(folder)

    def let_go(self) -> None:
        """Hold none of them."""
        with self._guard:
            self._turn += 1
            held = {
                folder: partial(self._release, folder, descriptor)
                for folder, descriptor in self._held.items()
            }
            self._held.clear()
            # One that does not answer is let go of when it does.
            call_each(held, ANSWER_S, "folder-unlock")

    def _try(self, folder: Path) -> None:
        on_late = partial(self._hold_late, folder, self._turn)
        try:
            found = self._calls.call(lambda: self._lock(folder), ANSWER_S, on_late)
        except TimeoutError:
            reason: str | None = "it does not answer"
        except FileNotFoundError:
            return  # said by the scan
        except OSError as error:
            reason = error.strerror
        else:
            self._held[folder] = found
            return
        log.warning("%s cannot be locked against a second daemon (%s)", folder, reason)

    def _hold_late(self, folder: Path, turn: int, descriptor: int) -> None:
        with self._guard:
            if turn == self._turn:
                self._held[folder] = descriptor
                log.warning("%s answers and is locked against a second daemon", folder)
                return
        # Left open, it would turn away this process itself when it opens the folder anew.
        self._release(folder, descriptor)


def _lock_tree(tree: Path) -> int:
    if not tree.exists() and tree.parent.is_dir():
        with suppress(StorageError):
            make_folder(tree)
    # Open for writing it would keep the file system from being remounted read-only. Over NFS
    # flock(2) is a lock on a range, which needs just that.
    access = os.O_RDWR if file_system_type(tree).startswith("nfs") else os.O_RDONLY
    flags = access | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(tree / LOCK_NAME, flags, 0o644)
    with _closed_on_error(descriptor):
        take_lock(
            descriptor,
            lambda: (
                f"results in {tree} are written by {_named_holder(descriptor)}. Stop that daemon, "
                "or give this one another results.folder."
            ),
        )
    # A full disk keeps the name from being told, not the lock from being held.
    with suppress(OSError):
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        text = f"process {os.getpid()} on {socket.gethostname()} since {started}\n"
        _write(tree, text.encode())
    return descriptor


def _write(tree: Path, text: bytes) -> None:
    flags = os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(tree / LOCK_NAME, flags)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def _named_holder(descriptor: int) -> str:
    text = os.pread(descriptor, 500, 0).decode(errors="replace")
    # A machine that lost power may leave zeros where the text was.
    line = text.partition("\n")[0].strip("\0 ")
    return printable(line) or lock_holder(descriptor)


def _release_tree(tree: Path, descriptor: int) -> None:
    # A share may be gone by now; the lock went with it.
    with suppress(OSError):
        _write(tree, b"")
    with suppress(OSError):
        os.close(descriptor)


def _release_folder(_folder: Path, descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)


def _lock_folder(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _closed_on_error(descriptor):
        take_lock(
            descriptor,
            lambda: (
                f"watch folder {folder} is in use by {lock_holder(descriptor)}. Stop that daemon, "
                "or give this one another folder."
            ),
        )
    return descriptor


@contextmanager
def _closed_on_error(descriptor: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(descriptor)
        raise
