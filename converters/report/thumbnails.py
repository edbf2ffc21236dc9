"""Small pictures of validation images for the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import cv2
import simplejpeg

from edge.errors import ImageError, TransientError
from edge.image_files.read import read_image

# Twice the size at which the report shows them, less than the original of an analyzer.
SIDE_PX: Final = 160
QUALITY: Final = 80


def thumbnail(path: Path) -> bytes | None:
    """A JPEG whose longer side is at most `SIDE_PX`; None where the image cannot be read.

    The pixels are encoded anew: an export's metadata may name a patient and must not follow.
    """
    try:
        pixels = read_image(path)
    except (ImageError, TransientError):
        return None
    height, width = pixels.shape[:2]
    scale = min(SIDE_PX / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(small, QUALITY))


def thumbnails_of(paths: Iterable[Path]) -> Callable[[str], bytes | None]:
    """Thumbnails by file name. A name that two images share has none: it could be the wrong one."""
    by_name: dict[str, Path | None] = {}
    for path in paths:
        by_name[path.name] = None if path.name in by_name else path

    def find(name: str) -> bytes | None:
        path = by_name.get(name)
        return None if path is None else thumbnail(path)

    return find
