from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from converters.report.images import MAX_THUMBNAIL_BYTES, SHOWN_IMAGES, share_out
from converters.report.page import render_report
from converters.report.thumbnails import SIDE_PX, thumbnail, thumbnails_of
from tests.converters.report.parsed_page import Page, page
from tests.converters.report.sample_evidence import FACTS
from tests.support.images import Jpeg


def test_report_shows_at_most_forty_images_and_counts_the_rest(
    evidence: dict[str, Any],
) -> None:
    jpeg = b"\xff\xd8" + bytes(MAX_THUMBNAIL_BYTES - 2)
    content = render_report(evidence, FACTS, lambda _: jpeg)
    assert len(content) < 2_000_000
    shown = Page(content)
    assert len(shown.all("img")) == SHOWN_IMAGES
    assert "27 more images are listed in evidence.json only" in shown.text


def test_report_with_too_large_thumbnail_leaves_it_out(evidence: dict[str, Any]) -> None:
    shown = page(evidence, lambda _: bytes(MAX_THUMBNAIL_BYTES + 1))
    assert shown.all("img") == []
    assert "no picture" in shown.text


@pytest.mark.parametrize(
    ("counts", "shown"),
    [([8, 60], [8, 32]), ([60, 60], [20, 20]), ([0, 0, 3], [0, 0, 3]), ([60, 2, 1], [37, 2, 1])],
)
def test_share_out_fills_the_limit_and_leaves_nobody_out(
    counts: list[int], shown: list[int]
) -> None:
    assert share_out(counts, 40) == shown


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
