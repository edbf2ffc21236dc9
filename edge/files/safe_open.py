"""Open a regular file where others may put what they like under its name.

A pipe under that name would block for ever, a device acts when it is opened, and a link leads to
a file that somebody else chose. Nothing here blocks, follows a link or opens a device.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

# O_NONBLOCK: a pipe that takes the file's place after the look at it does not block.
# O_NOCTTY: a terminal does not become this process's own.
_SAFE_FLAGS: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """What has this name is a link, a folder, a pipe, a socket or a device."""


class TooLargeError(OSError):
    """The file is larger than the caller takes."""


def open_regular(
    path: Path | str,
    flags: int = os.O_RDONLY,
    mode: int = 0o600,
    *,
    dir_fd: int | None = None,
    follows_links: bool = False,
) -> int:
    """A descriptor of a regular file, which the caller closes.

    Args:
        flags: as of `os.open`. With `O_TRUNC` a file is emptied before it is looked at: truncate
            the descriptor instead.
        mode: of a file that is created.
        dir_fd: the open folder that `path` is relative to.
        follows_links: whether a link to a regular file is taken too.

    Raises:
        NotRegularError: it is no regular file.
        OSError: it cannot be opened.
    """
    try:
        return _open(path, flags, mode, dir_fd, follows_links=follows_links)
    except OSError as error:
        # A link or a folder. ENXIO and ENODEV, which pipes and devices give as well, are not among
        # them: what was looked at before was a file, and a share has failed.
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
    descriptor = open_regular(path, dir_fd=dir_fd, follows_links=follows_links)
    with os.fdopen(descriptor, "rb") as stream:
        size = os.fstat(descriptor).st_size
        # One byte more than allowed shows a file that grows meanwhile.
        content = stream.read(max_bytes + 1) if size <= max_bytes else b""
    if max(size, len(content)) > max_bytes:
        found = max(size, len(content))
        text = f"{found} bytes, at most {max_bytes} are read"
        raise TooLargeError(errno.EFBIG, text, os.fspath(path))
    return content


def _open(
    path: Path | str, flags: int, mode: int, dir_fd: int | None, *, follows_links: bool
) -> int:
    try:
        # Before it is opened: a tape would rewind, a watchdog would arm.
        _require_regular(os.stat(path, dir_fd=dir_fd, follow_symlinks=follows_links), path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    flags |= _SAFE_FLAGS | (0 if follows_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
    try:
        _require_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)


def _not_regular(path: Path | str) -> NotRegularError:
    return NotRegularError(errno.EINVAL, "not a regular file", os.fspath(path))
