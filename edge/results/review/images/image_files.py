"""The images of slides by their ids, checked against the hash that was labelled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.files.open_folder import open_folder
from edge.files.safe_open import TooLargeError, read_bounded
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.review.refusal import Refusal, RefusalCode
from edge.results.review.view.looks import Look
from edge.results.review.view.slide_cells import image_id
from edge.results.settings.slide_config import SlideConfig
from edge.results.slides.slide import Slide
from edge.sidecar import sidecar_path

# The service labels no larger ones.
_LARGEST_BYTES: Final = 64 << 20
_KINDS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"BM", "image/bmp"),
)


class ImageFiles:
    """Reads images. May be called from several threads."""

    def __init__(self, config: SlideConfig, last_look: Callable[[], Look]) -> None:
        self._config = config
        self._last_look = last_look
        # Of the slide that was asked for last: a gallery asks for all of its images.
        self._index: tuple[Slide, dict[str, SidecarCell]] | None = None

    def read(self, key: str, wanted: str) -> tuple[bytes, str]:
        """An image's bytes and media type.

        Args:
            key: of the slide.
            wanted: the image's id.

        Raises:
            Refusal: there is none of this id, or the bytes are not those that were labelled.
        """
        standing = self._last_look().standings.get(key)
        cell = self._cells(standing.slide).get(wanted) if standing else None
        if cell is None:
            raise Refusal(RefusalCode.UNKNOWN, "no slide here has this image; load the list again")
        return self.content(cell)

    def content(self, cell: SidecarCell) -> tuple[bytes, str]:
        """The bytes and media type of a cell's image.

        Raises:
            Refusal: it is gone, or is not the one that was labelled.
        """
        content = self._read(cell)
        if cell.sha256 is not None and hashlib.sha256(content).hexdigest() != cell.sha256:
            raise Refusal(
                RefusalCode.IMAGE_CHANGED,
                "this image has changed since it was labelled; wait until it is labelled again",
            )
        kind = next((kind for magic, kind in _KINDS if content.startswith(magic)), None)
        if kind is None:
            raise Refusal(RefusalCode.GONE, "this file is no image that a browser can show")
        return content, kind

    def _cells(self, slide: Slide) -> dict[str, SidecarCell]:
        index = self._index
        if index is None or index[0] is not slide:
            index = slide, {image_id(slide.key, one): one for one in slide.images}
            self._index = index
        return index[1]

    def _read(self, cell: SidecarCell) -> bytes:
        """The file beside the sidecar, or at the same place of the watch folder; never a link."""
        root = self._config.images or self._config.sidecars
        try:
            parts = cell.sidecar.parent.relative_to(self._config.sidecars).parts
            with open_folder(root) as top, top.below(parts, make=False) as folder:
                return read_bounded(_name(cell), _LARGEST_BYTES, dir_fd=folder.descriptor)
        except (ValueError, FileNotFoundError) as error:
            raise Refusal(RefusalCode.GONE, "this image is gone from its folder") from error
        except TooLargeError as error:
            raise Refusal(RefusalCode.GONE, "this image is too large to be shown") from error
        except OSError as error:
            text = f"this image cannot be read ({error.strerror or 'it is no regular file'})"
            raise Refusal(RefusalCode.GONE, text) from error


def _name(cell: SidecarCell) -> str:
    """The image's name. That of the sidecar is the name itself, unless it was too long."""
    if sidecar_path(Path(cell.file), "json").name == cell.sidecar.name:
        return cell.file
    return cell.sidecar.name.removesuffix(".json")
