"""Files under their temporary names: made, filled, synchronised and renamed.

Everything here raises OSError; `edge.files.atomic` says what was being done, and to which file.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.failpoints import are_armed, failpoint
from edge.files.open_folder import OpenFolder, refused_name
from edge.files.temporary import temporary_name

# The errors with which a file server may refuse a file's name.
NAME_REFUSED_ERRORS: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EINVAL})
# 0666 less the umask: a LIS under another user must be able to read the result.
_MODE: Final = 0o666
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Staged:
    """A file under its temporary name, open until it is durable."""

    folder: OpenFolder
    path: Path
    name: str
    descriptor: int
    _is_open: bool = field(default=True, repr=False)
    _is_temporary: bool = field(default=True, repr=False)

    def write(self, content: bytes) -> None:
        """Write the content out, so that the first fsync of a batch finds it there."""
        if are_armed():
            half = len(content) // 2
            _write_all(self.descriptor, content[:half])
            failpoint("file.half_written")
            content = content[half:]
        _write_all(self.descriptor, content)
        _start_writeback(self.descriptor)

    def sync(self) -> None:
        """Make the content durable. By descriptor: the name may refer to another file by now."""
        os.fsync(self.descriptor)
        self._close()

    def rename(self) -> None:
        """Make the file visible under its own name, in place of one that has it."""
        folder = self.folder.descriptor
        try:
            os.rename(self.name, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError as error:
            # If the temporary file is gone, this raises. Otherwise the target's name was refused.
            os.stat(self.name, dir_fd=folder, follow_symlinks=False)
            raise refused_name(self.path.name) from error
        self._is_temporary = False

    def discard(self) -> None:
        """Close the file, and remove it if it was not renamed."""
        with suppress(OSError):
            self._close()
        if self._is_temporary:
            with suppress(OSError):
                os.unlink(self.name, dir_fd=self.folder.descriptor)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self.descriptor)


def create_staged(folder: OpenFolder, path: Path) -> Staged:
    """A new, empty temporary file beside `path`.

    Samba shares with `veto files = /.*/` refuse hidden names only.
    """
    name = temporary_name()
    if not folder.allows_hidden:
        name = name.removeprefix(".")
    try:
        return Staged(folder, path, name, _create(folder, name))
    except OSError as error:
        may_be_seen = folder.allows_hidden and not folder.requires_hidden
        if error.errno in NAME_REFUSED_ERRORS and may_be_seen:
            plain = name.removeprefix(".")
            with suppress(OSError):
                descriptor = _create(folder, plain)
                folder.allows_hidden = False
                return Staged(folder, path, plain, descriptor)
        raise


def _create(folder: OpenFolder, name: str) -> int:
    return os.open(name, _NEW_FILE, _MODE, dir_fd=folder.descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _start_writeback(descriptor: int) -> None:
    # Before it drops a file's pages, the kernel starts writing them to the disk. All files whose
    # blocks are allocated then are committed by the first fsync; otherwise each needs a commit.
    with suppress(OSError):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
