"""Folders held open by a descriptor.

A name may be given to another folder, or to a link, at any moment. What is done through the
descriptor reaches the folder that was opened, wherever it is renamed to meanwhile.
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
# To go through a folder takes less than to list it.
_WAY: Final = os.O_PATH | os.O_NOFOLLOW | _FOLDER


class OpenFolder:
    """A folder; closed at the end of a `with` block. Every method may raise OSError.

    Attributes:
        path: the name that it was opened by.
        descriptor: for the `dir_fd` of system calls.
        takes_hidden: False once it has refused a name that begins with a dot.
    """

    __slots__ = ("descriptor", "path", "takes_hidden")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.takes_hidden = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)

    def below(self, names: Iterable[str], *, make: bool, gives: bool = False) -> OpenFolder:
        """A folder below, through real folders only: a link on the way is NotADirectoryError.

        Args:
            names: of the folders on the way to it, itself the last.
            make: create what is missing, durably.
            gives: what the superuser creates belongs to whoever the folder above belongs to.
        """
        folder = OpenFolder(self.path, os.dup(self.descriptor))
        for name in names:
            with folder:
                folder = folder._enter(name, make=make, gives=gives)
        return folder

    def sync(self) -> None:
        """Make the names in it durable."""
        os.fsync(self.descriptor)

    def is_still_at(self, path: Path) -> bool:
        """Whether this very folder has that name now."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), path.stat())
        except OSError:
            return False

    def give(self, descriptor: int) -> None:
        """Where the superuser made a file or folder here, give it to the folder's owner.

        An administrator who labels by hand would otherwise leave files that the service's user
        cannot replace.
        """
        if os.geteuid() == 0:
            status = os.fstat(self.descriptor)
            if status.st_uid:
                # A share may not know other owners.
                with suppress(OSError):
                    os.fchown(descriptor, status.st_uid, status.st_gid)

    def _enter(self, name: str, *, make: bool, gives: bool) -> OpenFolder:
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
        if is_new and gives:
            self.give(found.descriptor)
        return found


def refused_name(name: str) -> OSError:
    """The error of a name that a share does not take, such as `a:b`.

    Windows servers and exFAT say of a new name that it is not found.
    """
    return OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)


def open_folder(path: Path) -> OpenFolder:
    """Open a folder as any program does: links are followed.

    Raises:
        OSError: it cannot be opened.
    """
    return OpenFolder(path, os.open(path, os.O_RDONLY | _FOLDER))


def open_real_folder(path: Path) -> OpenFolder:
    """Open a folder whose absolute path has no link.

    Raises:
        NotADirectoryError: a link, or a file, has taken the place of it or of one above.
        OSError: it cannot be opened.
    """
    above = os.open("/", _WAY)
    try:
        for name in path.parts[1:-1]:
            below = os.open(name, _WAY, dir_fd=above)
            os.close(above)
            above = below
        name = path.parts[-1] if len(path.parts) > 1 else "."
        flags = os.O_RDONLY | os.O_NOFOLLOW | _FOLDER
        return OpenFolder(path, os.open(name, flags, dir_fd=above))
    finally:
        os.close(above)
