"""The outbox's file, and the lock of its folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.database.file import DatabaseFile
from edge.errors import StorageError
from edge.files.atomic import make_folder, storage_errors
from edge.files.open_folder import open_folder
from edge.files.safe_open import open_regular
from edge.results.send.outbox.schema import STATEMENTS, VERSION

NAME: Final = "outbox.sqlite3"
LOCK: Final = "lock"
# An operator's command and the service write in turn; each for some milliseconds.
_WAIT_S: Final = 30.0


@contextmanager
def only_sender(state_dir: Path) -> Iterator[None]:
    """Make the state folder if it is missing, and lock it for this process.

    The kernel drops the lock when the process ends in any way.

    Raises:
        StorageError: another process sends, or the folder cannot be used.
    """
    if not state_dir.is_dir():
        make_folder(state_dir)
        with storage_errors("make private", state_dir):
            # Messages hold patient data.
            state_dir.chmod(0o700)
    with storage_errors("lock", state_dir), open_folder(state_dir) as folder:
        lock = open_regular(LOCK, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=folder.descriptor)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise StorageError(
                f"{state_dir} is in use by another edge-results send. Stop that one; two would "
                "send everything twice."
            ) from error
    try:
        yield
    finally:
        os.close(lock)


def outbox_file(state_dir: Path) -> DatabaseFile:
    """The outbox in a state folder."""
    return DatabaseFile(
        path=state_dir / NAME,
        what="the outbox",
        version=VERSION,
        statements=STATEMENTS,
        if_damaged=(
            f"Stop the service, move {NAME}* aside, set `since` of each target to a time before "
            "the damage and start again: what was issued since is sent again, byte for byte."
        ),
        busy_s=_WAIT_S,
        is_checked=True,
    )


def require_outbox(state_dir: Path) -> None:
    """Check that there is an outbox.

    Raises:
        StorageError: there is none, or this user may not look at it.
    """
    path = state_dir / NAME
    try:
        path.lstat()
    except FileNotFoundError as error:
        raise StorageError(
            f"{path} is not there: nothing was sent with this configuration yet, or it was lost. "
            "Start edge-results send --watch or --once, which tells a loss."
        ) from error
    except OSError as error:
        text = "Run this as root, or as the service's user."
        raise StorageError(f"{path}: {error.strerror}. {text}") from error
