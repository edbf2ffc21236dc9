"""The state folder of one daemon, which holds its journal, log key and lock."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from daemon.system.locks import is_named, lock_file, lock_holder
from daemon.system.this_user import give_permission
from edge.errors import ConfigError, StorageError
from edge.files.atomic import make_folder
from edge.files.open_folder import OpenFolder, open_folder
from edge.files.temporary import remove_leftovers
from edge.system.mounts import network_type

LOCK_NAME: Final = "lock"


@contextmanager
def owned_state_dir(folder: Path) -> Iterator[Callable[[], None]]:
    """Make the state folder if it is missing, and lock it for this process.

    The kernel drops the lock when the process ends in any way. Files that root makes in it are
    given to the folder's owner, so that the service still works after root has run `once`.

    Yields a function that raises StorageError if the lock file was removed or replaced.

    Raises:
        ConfigError: it is on a share.
        InUseError: another process has locked it. Not a ConfigError, so that systemd starts the
            service again after an `edge-daemon once`.
        StorageError: it cannot be made or used.
    """
    if problem := share_problem(folder):
        raise ConfigError(problem)
    _make_private(folder)
    with _opened(folder) as opened:
        descriptor = _lock(opened)
        try:
            _tidy(folder)
            _give_to_owner(folder)
            yield lambda: _require(folder, descriptor)
        finally:
            _give_to_owner(folder)
            os.close(descriptor)


def share_problem(folder: Path) -> str | None:
    """What is wrong with a state folder on a share; None: it is on a local disk.

    SQLite's write-ahead log needs shared memory: "WAL does not work over a network filesystem"
    (https://sqlite.org/wal.html).
    """
    type_ = network_type(folder)
    if type_ is None:
        return None
    return (
        f"state_dir {folder} is on a share ({type_}), where the journal may be damaged. "
        "Give a folder on a local disk."
    )


def refusal(folder: Path, error: OSError) -> StorageError:
    """The error for a state folder that this user cannot use."""
    remedy = f"{give_permission()}, or another state_dir."
    with suppress(OSError, KeyError):
        owner, user = pwd.getpwuid(folder.stat().st_uid), pwd.getpwuid(os.geteuid())
        if owner.pw_uid != user.pw_uid:
            remedy = (
                f"It belongs to {owner.pw_name} and this is {user.pw_name}. Give it to the user "
                f"of the service: chown -R USER {folder}"
            )
    return StorageError(f"state_dir {folder} cannot be used ({error.strerror}). {remedy}")


def _make_private(folder: Path) -> None:
    try:
        if not folder.exists():
            make_folder(folder)
            # The journal holds the paths of images, and with them patients' sample ids.
            folder.chmod(0o700)
            with open_folder(folder) as made, open_folder(folder.parent) as above:
                above.chown_like_folder(made.descriptor)
    except OSError as error:
        raise refusal(folder, error) from error


def _opened(folder: Path) -> OpenFolder:
    try:
        return open_folder(folder)
    except OSError as error:
        raise refusal(folder, error) from error


def _lock(folder: OpenFolder) -> int:
    def refused(descriptor: int) -> str:
        return (
            f"{folder.path} is in use by {lock_holder(descriptor)}. Stop that daemon, or give "
            "this one another state_dir."
        )

    try:
        return lock_file(folder, LOCK_NAME, refused, flags=os.O_RDWR, mode=0o600)
    except PermissionError as error:
        raise refusal(folder.path, error) from error
    except OSError as error:
        raise StorageError(
            f"{folder.path} cannot be locked ({error.strerror}). Give a state_dir on a local disk."
        ) from error


def _tidy(folder: Path) -> None:
    try:
        # A process that was killed may have left temporary files here or in a folder below.
        for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            remove_leftovers(place, older_than_s=0.0)
    except OSError as error:
        raise StorageError(
            f"state_dir {folder} cannot be read ({error.strerror}). {give_permission()}, or "
            "another state_dir."
        ) from error


def _give_to_owner(folder: Path) -> None:
    if os.geteuid() != 0:
        return
    # Nothing to do if the folder is root's own.
    with suppress(OSError):
        owner = folder.stat()
        for path in (folder, *folder.rglob("*")) if owner.st_uid else ():
            if path.lstat().st_uid == 0:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _require(folder: Path, descriptor: int) -> None:
    try:
        with open_folder(folder) as opened:
            is_held = is_named(descriptor, opened.descriptor, LOCK_NAME)
    except OSError as error:
        raise StorageError(
            f"state_dir {folder} is away ({error.strerror}). Mount it, or correct its permissions."
        ) from error
    if not is_held:
        raise StorageError(
            f"{folder / LOCK_NAME} was removed or replaced while this daemon was running. "
            "Make sure that no other program uses the folder."
        )
