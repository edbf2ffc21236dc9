"""Where sidecars go: is that place there, and is it the one that the daemon started with?"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from daemon.mounts import mount_point
from edge.errors import StorageError


class ResultsPlace:
    """The results folder, or with None the folders of the images.

    A share that is not mounted leaves its mount point behind, an empty local folder. Results
    written there would be hidden as soon as the share is back.
    """

    def __init__(self, folder: Path | None) -> None:
        """Remember the folder as it is now.

        Raises:
            StorageError: it is not there.
        """
        self._folder = folder
        self._identity: tuple[int, int] | None = None
        self._mount_point = ""
        if folder is not None:
            problem = results_problem(folder)
            if problem:
                raise StorageError(problem)
            self._require_same(folder)

    def require(self, folders: Iterable[Path]) -> None:
        """Nothing where sidecars may be written to `folders`, and folders be made for them.

        Raises:
            StorageError: the place is away.
        """
        if self._folder is not None:
            self._require_same(self._folder)
            return
        for folder in folders:
            # The image was there a moment ago: its folder is not to be made again without it.
            if _identity(folder) is None:
                raise _away(folder)

    def _require_same(self, folder: Path) -> None:
        identity = _identity(folder)
        if identity is None:
            raise _away(folder)
        if identity == self._identity:
            return
        # Another folder than before. One that was made anew, or a share that was mounted again
        # with another device number, is welcome; what lies bare after an unmount is not.
        point = mount_point(folder)
        if len(point) < len(self._mount_point):
            raise _away(folder)
        self._identity, self._mount_point = identity, point


def results_problem(folder: Path) -> str | None:
    """What is wrong with a configured results folder before the start; None: nothing."""
    try:
        if folder.is_dir():
            return None
    except OSError as error:
        return f"results folder {folder}: {error.strerror}. Give this user the permission."
    if folder.exists():
        return f"results folder {folder} is not a folder. Set results.folder to another place."
    return f"results folder {folder} is not there. Mount it, or make it: mkdir -p {folder}"


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _away(folder: Path) -> StorageError:
    # The cause stands for the message in the log, which must not name the folder of an image.
    error = StorageError(f"results folder {folder} is away. Mount it again.")
    error.__cause__ = FileNotFoundError(errno.ENOENT, "the results folder is away")
    return error
