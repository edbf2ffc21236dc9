from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from converters.report.images import MAX_THUMBNAIL_BYTES
from converters.report.thumbnails import SIDE_PX, thumbnail, thumbnails_of
from tests.support.images import Jpeg


def test_thumbnail_is_small_and_carries_no_metadata(tmp_path: Path) -> None:
    pixels = np.full((300, 400, 3), 120, np.uint8)
    jpeg = bytes(simplejpeg.encode_jpeg(pixels, 90))
    comment = b"\xff\xfe\x00\x0dpatient 4711"[:15]
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + comment + jpeg[2:])
    small = thumbnail(tmp_path / "a.jpg")
    assert small is not None
    assert simplejpeg.decode_jpeg(small).shape == (120, SIDE_PX, 3)
    assert b"patient" not in small
    assert len(small) < MAX_THUMBNAIL_BYTES


def test_thumbnails_of_damaged_missing_and_ambiguous_files_are_none(
    tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.jpg").write_bytes(colour_jpeg())
    (tmp_path / "good.jpg").write_bytes(colour_jpeg())
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff")
    find = thumbnails_of(sorted(tmp_path.rglob("*.jpg")))
    assert find("same.jpg") is None
    assert find("damaged.jpg") is None
    assert find("absent.jpg") is None
    assert find("good.jpg") is not None
