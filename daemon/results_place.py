"""Where sidecars go: is that place there, and is it the one that the daemon started with?"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from daemon.bounded_call import ANSWER_S, call_each, silence
from daemon.mounts import MountMemory
from edge.errors import StorageError


class ResultsPlace:
    """The results folder, or with None the folders of the images.

    A share that is not mounted leaves its mount point behind, an empty local folder. Results
    written there would be hidden as soon as the share is back.
    """

    def __init__(self, folder: Path | None, watch_folders: Iterable[Path] = ()) -> None:
        """Remember the folder as it is now. A watch folder that does not answer counts as away.

        Args:
            folder: the results folder; None: beside the images.
            watch_folders: where images lie.

        Raises:
            StorageError: the results folder is not there or does not answer.
        """
        self._folder = folder
        self._mounts = {place: MountMemory(place) for place in (folder, *watch_folders) if place}
        looks = {place: partial(self._look, place) for place in self._mounts}
        problems = call_each(looks, ANSWER_S, "results-place")
        if folder is not None:
            problem = problems.get(folder, silence(f"results folder {folder}"))
            if problem is not None:
                raise StorageError(problem)

    def require(self, folders: Collection[Path]) -> None:
        """Nothing where sidecars may be written to `folders`, and folders be made for them.

        Raises:
            StorageError: the place is away.
        """
        if self._folder is not None:
            if self._is_away(self._folder):
                raise _away(self._folder)
            return
        for folder in folders:
            # The image was there a moment ago: its folder is not to be made again without it.
            if self._is_away(folder):
                raise _away(folder)
        for place in self._mounts:
            if any(folder.is_relative_to(place) for folder in folders) and self._is_away(place):
                raise _away(place)

    def _look(self, place: Path) -> str | None:
        """Remember a place; gives what is wrong with the results folder."""
        problem = results_problem(place) if place == self._folder else None
        self._is_away(place)
        return problem

    def _is_away(self, folder: Path) -> bool:
        try:
            status = folder.stat()
        except OSError:
            return True
        return folder in self._mounts and self._mounts[folder].is_bare(status)


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


def _away(folder: Path) -> StorageError:
    # The cause stands for the message in the log, which must not name the folder of an image.
    error = StorageError(f"results folder {folder} is away. Mount it again.")
    error.__cause__ = FileNotFoundError(errno.ENOENT, "the results folder is away")
    return error
