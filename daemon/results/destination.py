"""Where sidecars go: is that place there, and is it the one that the daemon started with?"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from daemon.image.reading_errors import OUT_OF_RESOURCES
from daemon.system.bounded_call import ANSWER_S, call_each, no_answer
from daemon.system.folder_locks import FolderLocks, owned_folders
from daemon.system.mounts import MountMemory
from daemon.system.this_user import give_permission
from edge.errors import StorageError
from edge.files.atomic import storage_errors
from edge.files.open_folder import OpenFolder, open_real_folder

# Not a sign that the folder is away.
_THERE: Final = OUT_OF_RESOURCES | {errno.EACCES}


class Destination:
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
        """Whether sidecars lie beside their images."""
        return self._folder is None

    def open(self, folder: Path) -> OpenFolder:
        """Open a folder that sidecars are written to; in a results folder it is made.

        Beside the images none is made: the image was there a moment ago, and its folder is not to
        be made again without it.

        Raises:
            StorageError: the place is away, or the disk refuses.
        """
        base = self._base_of(folder)
        with base.open() as opened, storage_errors("open", folder):
            names = folder.relative_to(base.path).parts
            return opened.below(names, make=not self.is_beside, gives=True)

    @contextmanager
    def held(self, trees: Iterable[Path]) -> Iterator[None]:
        """Make the trees of the watch folders, and keep a second daemon from them in the block.

        Raises:
            InUseError: another daemon holds a watch folder or a tree.
        """
        trees = tuple(trees)
        self._make_all(trees)
        with owned_folders(self._watch_folders, trees) as self._locks:
            yield

    def hold(self, folders: Iterable[Path]) -> None:
        """Lock the trees of these folders again, where an outage released their locks.

        Raises:
            InUseError: another daemon has locked them meanwhile.
            StorageError: they cannot be locked.
        """
        if self._locks is not None:
            self._locks.require(folders)

    def release(self) -> None:
        """Give the locks of the trees back, so that a failing disk can be unmounted."""
        if self._locks is not None:
            self._locks.release()

    def _make_all(self, trees: Iterable[Path]) -> None:
        """Make what is not there yet; waits no longer than for an answer."""
        call_each({tree: partial(self._make, tree) for tree in trees}, ANSWER_S, "results-trees")

    def require(self, folders: Iterable[Path]) -> None:
        """Have what was written to `folders` be at the place where it was meant to be.

        Raises:
            StorageError: the place is away meanwhile.
        """
        for base in {self._base_of(folder) for folder in folders}:
            base.open().close()

    def _make(self, tree: Path) -> None:
        # What refuses now is said when something is written there.
        with suppress(StorageError):
            self.open(tree).close()

    def _base_of(self, folder: Path) -> _Base:
        return next(base for base in self._bases.values() if folder.is_relative_to(base.path))

    def _look(self, place: Path) -> str | None:
        """Remember a place; gives what is wrong with the results folder."""
        problem = results_problem(place) if place == self._folder else None
        self._bases[place].remember()
        return problem


class _Base:
    """A folder of the configuration. One that is a link there may be one, but no other."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._mount = MountMemory(path)
        self._real: Path | None = None

    def remember(self) -> None:
        """Note what the folder is now, where it is there."""
        try:
            self._mount.is_unmounted(self.path.stat())
            self._real = Path(os.path.realpath(self.path))
        except OSError:
            return

    def open(self) -> OpenFolder:
        """Open it.

        Raises:
            StorageError: it is away, or somebody has put a link in its place.
        """
        if self._real is None:
            self.remember()
        real = Path(os.path.realpath(self.path))
        if self._real is not None and real != self._real:
            raise self._error(f"{self._name} is a link to another place now")
        opened = self._open(real)
        if opened is not None and self._mount.is_unmounted(os.fstat(opened.descriptor)):
            opened.close()
            opened = None
        if opened is None:
            raise self._error(f"{self._name} is away")
        return opened

    def _open(self, real: Path) -> OpenFolder | None:
        with storage_errors("open", self.path):
            try:
                return open_real_folder(real)
            except OSError as error:
                if error.errno in _THERE:
                    raise
                return None

    def _error(self, text: str) -> StorageError:
        # The cause stands for the message in the log, which must not name the folder of an image.
        error = StorageError(f"{text}: {self.path}. Mount it again.")
        error.__cause__ = OSError(errno.ENOTCONN, text)
        return error


def results_problem(folder: Path) -> str | None:
    """What is wrong with a configured results folder before the start; None: nothing."""
    try:
        if folder.is_dir():
            return None
    except OSError as error:
        return f"results folder {folder}: {error.strerror}. {give_permission()}."
    if folder.exists():
        return f"results folder {folder} is not a folder. Set results.folder to another place."
    return f"results folder {folder} is not there. Mount it, or make it: mkdir -p {folder}"
