"""The destination of sidecars: whether it is there, and is still the folder of the start."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from daemon.image.reading_errors import OUT_OF_RESOURCES
from daemon.system.bounded_call import ANSWER_S, call_each, no_answer
from daemon.system.folder_locks import FolderLocks, owned_folders
from daemon.system.this_user import give_permission
from edge.errors import StorageError
from edge.files.atomic import storage_errors
from edge.files.open_folder import OpenFolder, open_real_folder
from edge.system.mounts import MountMemory

# Errors on opening a folder that do not mean that it is away.
_NOT_AWAY: Final = OUT_OF_RESOURCES | {errno.EACCES}


class Destination:
    """The results folder, or the folders of the images.

    When a share is unmounted, its mount point remains as an empty local folder. Sidecars written
    there would be hidden as soon as the share is mounted again, so they are refused.
    """

    def __init__(self, folder: Path | None, watch_folders: Iterable[Path] = ()) -> None:
        """Remember the folders as they are now. A watch folder that does not answer may come later.

        Args:
            folder: the results folder; None: sidecars go beside the images.
            watch_folders: the folders of the images.

        Raises:
            StorageError: the results folder is not there or does not answer.
        """
        self._folder = folder
        self._watch_folders = tuple(watch_folders)
        self._locks: FolderLocks | None = None
        name, places = ("watch", self._watch_folders) if folder is None else ("results", [folder])
        self._bases = {place: _Base(place, f"the {name} folder") for place in places}
        looks = {place: partial(self._look, place) for place in self._bases}
        problems = call_each(looks, ANSWER_S, "results-place")
        if folder is not None:
            problem = problems.get(folder, no_answer(f"results folder {folder}"))
            if problem is not None:
                raise StorageError(problem)

    @property
    def is_beside(self) -> bool:
        """Whether sidecars go beside their images."""
        return self._folder is None

    def open(self, folder: Path) -> OpenFolder:
        """Open a folder for sidecars; below the results folder it is made if it is missing.

        Beside the images no folder is made: if it is gone, so is the image.

        Raises:
            StorageError: the destination is away, or the folder cannot be opened or made.
        """
        base = self._base_of(folder)
        with base.open() as opened, storage_errors("open", folder):
            names = folder.relative_to(base.path).parts
            return opened.below(names, make=not self.is_beside, chown_to_parent=True)

    @contextmanager
    def held(self, trees: Iterable[Path]) -> Iterator[None]:
        """Make the results folders of the watch folders, and lock out a second daemon in the block.

        Raises:
            InUseError: another daemon has locked a watch folder or a results folder.
        """
        trees = tuple(trees)
        self._make_all(trees)
        with owned_folders(self._watch_folders, trees) as self._locks:
            yield

    def hold(self, folders: Iterable[Path]) -> None:
        """Lock these folders again if an outage has released the locks.

        Raises:
            InUseError: another daemon has locked them meanwhile.
            StorageError: they cannot be locked.
        """
        if self._locks is not None:
            self._locks.require(folders)

    def release(self) -> None:
        """Release the locks of the results folders, so that a failing disk can be unmounted."""
        if self._locks is not None:
            self._locks.release()

    def _make_all(self, trees: Iterable[Path]) -> None:
        """Make the folders that are missing; waits a few seconds at most."""
        call_each({tree: partial(self._make, tree) for tree in trees}, ANSWER_S, "results-trees")

    def require(self, folders: Iterable[Path]) -> None:
        """Check that the destination of `folders` is still there, after they were written to.

        Raises:
            StorageError: it was unmounted or replaced meanwhile.
        """
        for base in {self._base_of(folder) for folder in folders}:
            base.open().close()

    def _make(self, tree: Path) -> None:
        # Errors are logged when a sidecar is written there.
        with suppress(StorageError):
            self.open(tree).close()

    def _base_of(self, folder: Path) -> _Base:
        return next(base for base in self._bases.values() if folder.is_relative_to(base.path))

    def _look(self, place: Path) -> str | None:
        """Remember a folder; returns what is wrong with it, if it is the results folder."""
        problem = results_problem(place) if place == self._folder else None
        self._bases[place].remember()
        return problem


class _Base:
    """A configured folder. It may be a link, if the link's target stays the same."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._mount = MountMemory(path)
        self._real: Path | None = None

    def remember(self) -> None:
        """Remember the folder's file system and real path, if it is there."""
        try:
            self._mount.is_unmounted(self.path.stat())
            self._real = Path(os.path.realpath(self.path))
        except OSError:
            return

    def open(self) -> OpenFolder:
        """Open the folder.

        Raises:
            StorageError: it is away, or was replaced by a link to another folder.
        """
        if self._real is None:
            self.remember()
        real = Path(os.path.realpath(self.path))
        if self._real is not None and real != self._real:
            raise self._error(f"{self._name} is a link to another place now")
        opened = self._open(real)
        if opened is None:
            raise self._error(f"{self._name} is away")
        return opened

    def _open(self, real: Path) -> OpenFolder | None:
        with storage_errors("open", self.path):
            try:
                with ExitStack() as closing:
                    opened = closing.enter_context(open_real_folder(real))
                    # A share that goes between the two calls leaves a stale handle.
                    if self._mount.is_unmounted(os.fstat(opened.descriptor)):
                        return None
                    closing.pop_all()
                    return opened
            except OSError as error:
                if error.errno in _NOT_AWAY:
                    raise
                return None

    def _error(self, text: str) -> StorageError:
        # The log shows the cause instead of the message, which may name an image's folder.
        error = StorageError(f"{text}: {self.path}. Mount it again.")
        error.__cause__ = OSError(errno.ENOTCONN, text)
        return error


def results_problem(folder: Path) -> str | None:
    """What is wrong with a results folder, and what to do; None: nothing."""
    try:
        if folder.is_dir():
            return None
    except OSError as error:
        return f"results folder {folder}: {error.strerror}. {give_permission()}."
    if folder.exists():
        return f"results folder {folder} is not a folder. Set results.folder to another place."
    return f"results folder {folder} is not there. Mount it, or make it: mkdir -p {folder}"
