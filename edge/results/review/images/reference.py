"""Reference cells of each class, from the site's folder, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.files.open_folder import open_folder
from edge.files.safe_open import read_bounded
from edge.results.document.result import CELL_CLASSES, NOT_COUNTED, short_hash
from edge.results.review.refusal import Refusal, RefusalCode

_MOST_OF_CLASS: Final = 24
_LARGEST_BYTES: Final = 4 << 20
_KINDS: Final = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


class Reference:
    """The folder of reference cells; one that is not there has none. For any thread."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: dict[str, tuple[str, str]] = {}

    def classes(self) -> dict[str, list[str]]:
        """Ids of images by class, at most 24 of each; looked up anew at each call."""
        found: dict[str, list[str]] = {}
        for name in (*CELL_CLASSES, *NOT_COUNTED):
            for file in self._files(name):
                image = short_hash(f"{name}\0{file}")
                self._names[image] = (name, file)
                found.setdefault(name, []).append(image)
        return found

    def read(self, image: str) -> tuple[bytes, str]:
        """An image's bytes and media type; links are not followed.

        Raises:
            Refusal: there is none of this id.
        """
        place = self._names.get(image)
        if place is None or self._folder is None:
            raise Refusal(RefusalCode.UNKNOWN, "no reference cell has this id; load them again")
        name, file = place
        try:
            with open_folder(self._folder) as top, top.below((name,), make=False) as folder:
                content = read_bounded(file, _LARGEST_BYTES, dir_fd=folder.descriptor)
        except OSError as error:
            raise Refusal(RefusalCode.GONE, "this reference cell is gone") from error
        return content, _KINDS[Path(file).suffix.lower()]

    def _files(self, name: str) -> list[str]:
        if self._folder is None:
            return []
        try:
            names = sorted(path.name for path in (self._folder / name).iterdir())
        except OSError:
            return []
        return [one for one in names if Path(one).suffix.lower() in _KINDS][:_MOST_OF_CLASS]
