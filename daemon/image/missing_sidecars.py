"""Which images lack sidecars that somebody deleted, rather than that their place is away?

A share that is not mounted has none of them, and neither has the empty folder below its mount. So
a sidecar that is there is the witness that the place is: one for each watch folder, which must
still be there after each page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon.image.comparison import has_sidecars
from daemon.image.records import PastImage
from daemon.image.watch_folder import WatchFolder
from edge.errors import StorageError


class MissingSidecars:
    """Looks for sidecars in the places of some watch folders."""

    def __init__(self, watch_folders: Mapping[int, WatchFolder], formats: tuple[str, ...]) -> None:
        self._watch_folders = watch_folders
        self._formats = formats
        self._present: dict[int, Path] = {}
        # Watch folders of which an image without sidecars was seen.
        self._in_doubt: set[int] = set()

    def knows_all(self, page: list[PastImage]) -> bool:
        """Look for witnesses in a page; returns whether there is one for each watch folder."""
        for image in page:
            if image.folder_id not in self._present:
                target = self._target(image)
                if has_sidecars(target, self._formats):
                    self._present[image.folder_id] = target
                else:
                    self._in_doubt.add(image.folder_id)
        return self._present.keys() >= self._watch_folders.keys()

    def require_places(self) -> None:
        """Nothing where every place of sidecars is there.

        Raises:
            StorageError: of a watch folder's images none has its sidecars.
        """
        for id_ in self._in_doubt - self._present.keys():
            raise StorageError(
                f"no image has its sidecars in {self._watch_folders[id_].results}: mount its "
                "share. If they were all deleted, or the formats are new: edge-daemon retry --all."
            )

    def of(self, page: list[PastImage]) -> list[PastImage]:
        """Those images of a page that lack sidecars.

        Raises:
            StorageError: the place is away by now.
        """
        missing = [i for i in page if not has_sidecars(self._target(i), self._formats)]
        for id_ in {image.folder_id for image in missing}:
            present = self._present.get(id_)
            if present is None or not has_sidecars(present, self._formats):
                raise StorageError(
                    f"the sidecars in {self._watch_folders[id_].results} vanish while they are "
                    "looked at. Mount the share again, and start again."
                )
        return missing

    def _target(self, image: PastImage) -> Path:
        return self._watch_folders[image.folder_id].target(image.path)
