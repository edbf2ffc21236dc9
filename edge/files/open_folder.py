"""Folders held open by a descriptor.

A path may come to mean another folder, or a link, at any moment. Calls through the descriptor
always reach the folder that was opened, even after it was renamed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.failpoints import failpoint

_FOLDER: Final = os.O_DIRECTORY | os.O_CLOEXEC
# Opens a parent folder only to pass through it, which needs no permission to list it.
_PASS: Final = os.O_PATH | os.O_NOFOLLOW | _FOLDER


class OpenFolder:
    """A folder; closed at the end of a `with` block. Every method may raise OSError.

    Attributes:
        path: the path that it was opened by.
        descriptor: for the `dir_fd` of system calls.
        allows_hidden: False once it has refused a name that begins with a dot.
        requires_hidden: whether temporary files must be hidden, as another program takes every
            file that it sees.
    """

    __slots__ = ("allows_hidden", "descriptor", "path", "requires_hidden")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.allows_hidden = True
        self.requires_hidden = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)

    def below(
        self, names: Iterable[str], *, make: bool, chown_to_parent: bool = False
    ) -> OpenFolder:
        """Open a folder below this one without following links; a link is NotADirectoryError.

        Args:
            names: the parts of its relative path.
            make: create missing folders, durably.
            chown_to_parent: if root creates a folder, give it to the owner of its parent.
        """
        folder = OpenFolder(self.path, os.dup(self.descriptor))
        for name in names:
            with folder:
                folder = folder._enter(name, make=make, chown_to_parent=chown_to_parent)
        return folder

    def sync(self) -> None:
        """Synchronise it, which makes the names in it durable."""
        os.fsync(self.descriptor)

    def is_still_at(self, path: Path) -> bool:
        """Whether `path` leads to this very folder now."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), path.stat())
        except OSError:
            return False

    def chown_like_folder(self, descriptor: int) -> None:
        """If root runs this, give a file or folder in here to this folder's owner.

        Otherwise files that an administrator labels by hand could not be replaced by the service.
        """
        if os.geteuid() == 0:
            status = os.fstat(self.descriptor)
            if status.st_uid:
                # A share may not support other owners.
                with suppress(OSError):
                    os.fchown(descriptor, status.st_uid, status.st_gid)

    def _enter(self, name: str, *, make: bool, chown_to_parent: bool) -> OpenFolder:
        path = self.path / name
        flags = os.O_RDONLY | os.O_NOFOLLOW | _FOLDER
        try:
            return OpenFolder(path, os.open(name, flags, dir_fd=self.descriptor))
        except FileNotFoundError:
            if not make:
                raise
        failpoint("folder.before_make")
        is_new = False
        try:
            os.mkdir(name, dir_fd=self.descriptor)
            is_new = True
        except FileExistsError:
            pass
        except FileNotFoundError as error:
            if not self.is_still_at(self.path):
                raise
            raise refused_name(name) from error
        failpoint("folder.made")
        self.sync()
        found = OpenFolder(path, os.open(name, flags, dir_fd=self.descriptor))
        if is_new and chown_to_parent:
            self.chown_like_folder(found.descriptor)
        return found


def refused_name(name: str) -> OSError:
    """The error for a name that a share refuses, such as `a:b`.

    Windows servers and exFAT report it as "not found", which would be misleading for a new file.
    """
    return OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)


def open_folder(path: Path) -> OpenFolder:
    """Open a folder; links are followed.

    Raises:
        OSError: it cannot be opened.
    """
    return OpenFolder(path, os.open(path, os.O_RDONLY | _FOLDER))


def open_real_folder(path: Path) -> OpenFolder:
    """Open a folder by an absolute path that must contain no link.

    Raises:
        NotADirectoryError: a part of the path is a link or a file.
        OSError: it cannot be opened.
    """
    above = os.open("/", _PASS)
    try:
        for name in path.parts[1:-1]:
            below = os.open(name, _PASS, dir_fd=above)
            os.close(above)
            above = below
        name = path.parts[-1] if len(path.parts) > 1 else "."
        flags = os.O_RDONLY | os.O_NOFOLLOW | _FOLDER
        return OpenFolder(path, os.open(name, flags, dir_fd=above))
    finally:
        os.close(above)
