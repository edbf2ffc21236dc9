"""The folder that belongs to one daemon: its journal, its log key, and the lock that says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from daemon.file_lock import lock_holder, take_lock
from edge.atomic import make_folder, remove_leftovers
from edge.errors import StorageError

LOCK_NAME: Final = "lock"


@contextmanager
def owned_state_dir(folder: Path) -> Iterator[None]:
    """Hold the state folder for this process, making it where it is missing.

    The kernel drops the lock when the process ends, however it ends.

    Raises:
        InUseError: another process holds it. Not a ConfigError, so that a service that met an
            `edge-daemon once` is started again by systemd.
        StorageError: the disk refuses.
    """
    _make_private(folder)
    descriptor = _open_lock(folder / LOCK_NAME)
    try:
        _lock(folder, descriptor)
        _tidy(folder)
        yield
    finally:
        os.close(descriptor)


def _make_private(folder: Path) -> None:
    try:
        if not folder.exists():
            make_folder(folder)
            # The journal holds the paths of images, and with them patients' sample ids.
            folder.chmod(0o700)
    except OSError as error:
        raise StorageError(
            f"state_dir {folder} cannot be used ({error.strerror}). Give this user the permission."
        ) from error


def _tidy(folder: Path) -> None:
    try:
        # A start that was killed may have been writing the log's key, or into a folder below.
        for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            remove_leftovers(place, older_than_s=0.0)
    except OSError as error:
        raise StorageError(
            f"state_dir {folder} cannot be read ({error.strerror}). Give this user the permission, "
            "or another state_dir."
        ) from error


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened ({error.strerror}).") from error


def _lock(folder: Path, descriptor: int) -> None:
    try:
        take_lock(
            descriptor,
            lambda: (
                f"{folder} is in use by {lock_holder(descriptor)}. Stop that daemon, or give this "
                "one another state_dir."
            ),
        )
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be locked ({error.strerror}). Give a state_dir on a local disk."
        ) from error
