"""Export folders that become one folder on the share of the results, such as `S1` and `s1`.

They often hold images of the same name, whose sidecars would replace each other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from daemon.image.watch_folder import WatchFolder
from daemon.system.folder_locks import LOCK_NAME, PLAIN_LOCK_NAME
from edge.text.unicode_form import comparable

_MAX_REMEMBERED: Final = 10_000


class FolderTwins:
    """Whether two export folders share one results folder. Safe to use from any thread."""

    def __init__(self) -> None:
        # Results folders already checked, as each check lists the folders above.
        self._own: set[Path] = set()

    def has(self, watch_folder: WatchFolder, path: bytes) -> bool:
        """Whether the sidecars of an image would go to the results folder of another folder.

        Args:
            watch_folder: the watch folder.
            path: the image's path below it.

        Raises:
            OSError: a folder cannot be listed.
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
    """Whether the share treats `A` and `a` as one: it finds the lock file in capital letters."""
    names = (LOCK_NAME, PLAIN_LOCK_NAME)
    return any(os.path.lexists(results / name.upper()) for name in names)


def _is_twin(name: str, results: Path, export: Path) -> bool:
    found = os.listdir(results)  # noqa: PTH208 - names are all that is needed
    if name in found:
        return False
    # The folder has another spelling. It is shared only if the export has a folder so spelled.
    twins = {other for other in found if _folded(other) == _folded(name)}
    return any(other in twins for other in os.listdir(export))  # noqa: PTH208


def _folded(name: str) -> str:
    """The name in the form in which Windows and macOS compare names."""
    return comparable(name).casefold().rstrip(". ")
