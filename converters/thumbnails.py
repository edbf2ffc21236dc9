"""Small pictures of validation images for the report; nothing is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import simplejpeg

from edge.errors import ImageError, TransientError
from edge.images import read_image

SIDE_PX: Final = 144
QUALITY: Final = 80


def thumbnails(paths: tuple[Path, ...]) -> Callable[[str], bytes | None]:
    """A function from a file's name to a small JPEG of it, None where it cannot be read."""
    by_name = {path.name: path for path in reversed(paths)}

    def thumbnail(name: str) -> bytes | None:
        try:
            image = read_image(by_name[name])
        except (KeyError, ImageError, TransientError):
            return None
        scale = SIDE_PX / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return bytes(simplejpeg.encode_jpeg(small, QUALITY))

    return thumbnail
