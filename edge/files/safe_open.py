"""Opens regular files in folders where other users may create anything.

A pipe would block for ever, a device may act when it is opened, and a link may lead to any file. So
nothing here opens a pipe or device, blocks, or follows a link unless asked to.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

# O_NONBLOCK: no blocking if a pipe replaces the file between the check and the open.
# O_NOCTTY: a terminal does not become this process's controlling terminal.
_SAFE_FLAGS: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """The path leads to a link, folder, pipe, socket or device."""


class TooLargeError(OSError):
    """The file is larger than the caller allows."""


def open_regular(
    path: Path | str,
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    *,
    dir_fd: int | None = None,
    follows_links: bool = False,
) -> int:
    """A descriptor of a regular file; the caller closes it.

    Args:
        flags: as for `os.open`. Do not use `O_TRUNC`, which empties the file before the check;
            truncate the descriptor instead.
        mode: permissions of a file that is created.
        dir_fd: the open folder that `path` is relative to.
        follows_links: whether a link to a regular file is accepted too.

    Raises:
        NotRegularError: it is not a regular file.
        OSError: it cannot be opened.
    """
    return open_with_status(path, flags, mode, dir_fd=dir_fd, follows_links=follows_links)[0]


def open_with_status(
    path: Path | str,
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    *,
    dir_fd: int | None = None,
    follows_links: bool = False,
) -> tuple[int, os.stat_result]:
    """As `open_regular`, with the status of the open file."""
    try:
        return _open(path, flags, mode, dir_fd, follows_links=follows_links)
    except OSError as error:
        # A link or a folder. ENXIO and ENODEV do not mean a pipe or device here, because the check
        # before has found a regular file; they mean that a share has failed.
        if error.errno in (errno.ELOOP, errno.EISDIR):
            raise _not_regular(path) from error
        raise


def read_bounded(
    path: Path | str, max_bytes: int, *, dir_fd: int | None = None, follows_links: bool = False
) -> bytes:
    """The content of a regular file of at most `max_bytes`.

    Raises:
        TooLargeError: it is larger, or grows beyond that while it is read.
        OSError: as `open_regular`.
    """
    descriptor, status = open_with_status(path, dir_fd=dir_fd, follows_links=follows_links)
    try:
        return read_open(descriptor, status.st_size, max_bytes, path)
    finally:
        os.close(descriptor)


def read_listed(name: str, max_bytes: int, *, dir_fd: int) -> bytes:
    """As `read_bounded`, in half the time: of a file that a listing of `dir_fd` has just shown.

    The listing said that it is a regular file, so it is not checked once more before it is opened.

    Raises:
        TooLargeError: it is larger, or grows beyond that while it is read.
        NotRegularError: something else has its name by now.
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | _SAFE_FLAGS, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_regular(name) from error
        raise
    try:
        status = os.fstat(descriptor)
        _require_regular(status, name)
        return read_open(descriptor, status.st_size, max_bytes, name)
    finally:
        os.close(descriptor)


def read_open(descriptor: int, size: int, max_bytes: int, path: Path | str) -> bytes:
    """The content of an open file.

    Args:
        descriptor: of the file, at its beginning.
        size: the file's size when it was opened.
        max_bytes: the most that is read.
        path: for the error.

    Raises:
        TooLargeError: it is larger, or grows beyond that while it is read.
        OSError: it cannot be read.
    """
    # Not through a stream of Python's, which takes longer to make than a small file to read.
    chunks: list[bytes] = []
    # One byte more than allowed reveals a file that grows while it is read.
    remaining = max_bytes + 1 if size <= max_bytes else 0
    while chunk := os.read(descriptor, min(remaining, size + 1)):
        chunks.append(chunk)
        remaining -= len(chunk)
    if remaining <= 0:
        text = f"{max(size, max_bytes + 1)} bytes, at most {max_bytes} are read"
        raise TooLargeError(errno.EFBIG, text, os.fspath(path))
    return b"".join(chunks)


def _open(
    path: Path | str, flags: int, mode: int, dir_fd: int | None, *, follows_links: bool
) -> tuple[int, os.stat_result]:
    try:
        # Checked before opening, because devices act on open: a tape rewinds, a watchdog starts.
        _require_regular(os.stat(path, dir_fd=dir_fd, follow_symlinks=follows_links), path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    flags |= _SAFE_FLAGS | (0 if follows_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
    try:
        status = os.fstat(descriptor)
        _require_regular(status, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _require_regular(status: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)


def _not_regular(path: Path | str) -> NotRegularError:
    return NotRegularError(errno.EINVAL, "not a regular file", os.fspath(path))
