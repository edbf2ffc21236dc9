"""Finds images whose sidecars were deleted, for `edge-daemon retry --missing`.

On a share that is not mounted all sidecars seem to be missing. So for each watch folder an image
must be found that has its sidecars, and still has them after each page.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from daemon.image.records import PastImage
from daemon.image.watch_folder import WatchFolder
from edge.errors import StorageError
from edge.sidecar import sidecar_path


class MissingSidecars:
    """Looks for the sidecars of images of some watch folders."""

    def __init__(self, watch_folders: Mapping[int, WatchFolder], formats: tuple[str, ...]) -> None:
        self._watch_folders = watch_folders
        self._formats = formats
        self._present: dict[int, Path] = {}
        # Watch folders with an image without sidecars.
        self._in_doubt: set[int] = set()

    def found_in_all(self, page: list[PastImage]) -> bool:
        """Look for images with sidecars; returns whether each watch folder has one by now."""
        for image in page:
            if image.folder_id not in self._present:
                target = self._target(image)
                if has_sidecars(target, self._formats):
                    self._present[image.folder_id] = target
                else:
                    self._in_doubt.add(image.folder_id)
        return self._present.keys() >= self._watch_folders.keys()

    def require_present(self) -> None:
        """Check that the sidecars' folders are mounted.

        Raises:
            StorageError: no image of a watch folder has its sidecars.
        """
        for id_ in self._in_doubt - self._present.keys():
            raise StorageError(
                f"no image has its sidecars in {self._watch_folders[id_].results}: mount its "
                "share. If they were all deleted, or the formats are new: edge-daemon retry --all."
            )

    def of(self, page: list[PastImage]) -> list[PastImage]:
        """Those images of a page that lack sidecars.

        Raises:
            StorageError: the sidecars' folder has been unmounted meanwhile.
        """
        missing = [i for i in page if not has_sidecars(self._target(i), self._formats)]
        for id_ in {image.folder_id for image in missing}:
            present = self._present.get(id_)
            if present is None or not has_sidecars(present, self._formats):
                raise StorageError(
                    f"the sidecars in {self._watch_folders[id_].results} have vanished during the "
                    "search. Mount the share again, and start again."
                )
        return missing

    def _target(self, image: PastImage) -> Path:
        return self._watch_folders[image.folder_id].target(image.path)


def has_sidecars(target: Path, formats: tuple[str, ...]) -> bool:
    """Whether all sidecars of an image are there, as files.

    Args:
        target: the image's path, or its mirror in the results folder.
        formats: the configured formats.

    Raises:
        StorageError: they cannot be looked at.
    """
    try:
        modes = [sidecar_path(target, format_).lstat().st_mode for format_ in formats]
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(
            f"sidecars in {target.parent} cannot be looked at ({error.strerror}). Check its share."
        ) from error
    return all(stat.S_ISREG(mode) for mode in modes)
