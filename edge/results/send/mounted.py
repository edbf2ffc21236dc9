"""Whether a folder that is read is there, and not the bare mount point in place of its share."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import StorageError


class MountedFolder:
    """A folder of images or sidecars, which may be on a share.

    While its share is away, manifests, markers and images that wait for their labels are not seen,
    and a slide could be taken for complete.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._device: int | None = None

    def require(self) -> None:
        """Check that it is there.

        Raises:
            StorageError: it is not, or it is empty and on another file system than before.
        """
        try:
            device = self._path.stat().st_dev
            with os.scandir(self._path) as entries:
                is_empty = next(entries, None) is None
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be read ({error.strerror}). Mount or make it; no result is "
                "issued until then."
            ) from error
        if is_empty and self._device not in (None, device):
            raise StorageError(
                f"{self._path} is empty and its share is away. Mount it; no result is issued until "
                "then."
            )
        if not is_empty:
            self._device = device
