"""Folders whose names are one on the share of the results, such as `S1` and `s1`.

Both hold an image of the same name, mostly: the sidecar would not tell whose it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from daemon.image.watch_folder import WatchFolder
from daemon.system.folder_locks import LOCK_NAME, PLAIN_LOCK_NAME
from daemon.system.unicode_form import comparable

_MAX_REMEMBERED: Final = 10_000


class FolderTwins:
    """Whether a folder of results is also another folder's. Any thread may ask."""

    def __init__(self) -> None:
        # Those that were found to be their own; each costs a listing of the folder above.
        self._own: set[Path] = set()

    def has(self, watch_folder: WatchFolder, path: bytes) -> bool:
        """Whether the sidecars of an image would go where those of another folder go.

        Args:
            watch_folder: the watch folder.
            path: of the image below it.

        Raises:
            OSError: the share does not tell.
        """
        folder = watch_folder.target(path).parent
        if folder in self._own:
            return False
        if _folds_case(watch_folder.results):
            names = folder.relative_to(watch_folder.results).parts
            for depth, name in enumerate(names):
                above = Path(*names[:depth])
                if _is_twin(name, watch_folder.results / above, watch_folder.path / above):
                    return True
        if len(self._own) >= _MAX_REMEMBERED:
            self._own.clear()
        self._own.add(folder)
        return False


def _folds_case(results: Path) -> bool:
    """Whether the share does not tell `A` from `a`: it finds the lock file by another name."""
    names = (LOCK_NAME, PLAIN_LOCK_NAME)
    return any(os.path.lexists(results / name.upper()) for name in names)


def _is_twin(name: str, results: Path, export: Path) -> bool:
    found = os.listdir(results)  # noqa: PTH208 - names are all that is needed
    if name in found:
        return False
    # The folder answers to this name, and has another. Perhaps it was this one's until a rename.
    twins = {other for other in found if _folded(other) == _folded(name)}
    return any(other in twins for other in os.listdir(export))  # noqa: PTH208


def _folded(name: str) -> str:
    """The name as Windows and macOS compare it."""
    return comparable(name).casefold().rstrip(". ")
