from __future__ import annotations

import os
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from edge.errors import ImageError, RejectReason, TransientError
from edge.image_files.header import is_whole
from edge.image_files.limits import ImageLimits
from edge.image_files.read import decode_image, modified_time, read_file, read_image
from tests.edge.image_files.reading import LIMITS, reason_of
from tests.support.hostile import odd_images as odd
from tests.support.images import Jpeg


def test_decode_jpeg_gives_rgb(colour_jpeg: Jpeg) -> None:
    pixels = decode_image(colour_jpeg("red"), LIMITS)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert pixels[..., 0].mean() > 180
    assert pixels[..., 2].mean() < 60


@pytest.mark.parametrize("percent", range(1, 100, 2))
def test_decode_jpeg_cut_anywhere_is_refused(colour_jpeg: Jpeg, percent: int) -> None:
    whole = colour_jpeg("green")
    cut = whole[: len(whole) * percent // 100]
    assert reason_of(cut) in {RejectReason.TRUNCATED, RejectReason.UNSUPPORTED_FORMAT}


@pytest.mark.parametrize("percent", [10, 30, 50, 70, 90])
def test_decode_jpeg_with_end_marker_but_missing_middle_is_refused(
    colour_jpeg: Jpeg, percent: int
) -> None:
    whole = colour_jpeg("blue", side_px=200)
    start = whole.index(b"\xff\xda") + 20
    cut = whole[: start + (len(whole) - start) * percent // 100 - 2] + b"\xff\xd9"
    assert reason_of(cut) in {RejectReason.TRUNCATED, RejectReason.CORRUPT}


def test_decode_jpeg_with_hole_of_zeros_is_truncated(colour_jpeg: Jpeg) -> None:
    whole = bytearray(colour_jpeg("blue", side_px=200))
    whole[-400:-200] = bytes(200)
    assert reason_of(bytes(whole)) is RejectReason.TRUNCATED


def test_decode_jpeg_preallocated_with_zero_tail_is_truncated(colour_jpeg: Jpeg) -> None:
    whole = colour_jpeg("red")
    assert reason_of(whole[: len(whole) // 2].ljust(len(whole), b"\0")) is RejectReason.TRUNCATED
    assert reason_of(bytes(len(whole))) is RejectReason.TRUNCATED


@pytest.mark.parametrize("trailer", [bytes(100), b"\n", b"VENDOR\x00\xff trailer", b"\xff\xd9"])
def test_decode_jpeg_with_bytes_behind_end_marker_gives_the_same_pixels(
    colour_jpeg: Jpeg, trailer: bytes
) -> None:
    whole = colour_jpeg("red")
    assert np.array_equal(decode_image(whole + trailer, LIMITS), decode_image(whole, LIMITS))


def test_decode_grey_jpeg_is_unsupported_colour() -> None:
    grey = simplejpeg.encode_jpeg(np.zeros((64, 64, 1), np.uint8), colorspace="GRAY")
    assert reason_of(bytes(grey)) is RejectReason.UNSUPPORTED_COLOUR


def test_decode_text_is_unsupported_format() -> None:
    assert reason_of(b"<html>not an image</html>" * 20) is RejectReason.UNSUPPORTED_FORMAT


def test_decode_decompression_bomb_is_refused_by_its_header(colour_jpeg: Jpeg) -> None:
    content = bytearray(colour_jpeg("red"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    assert reason_of(bytes(content)) is RejectReason.TOO_MANY_PIXELS


def test_decode_tiny_image_is_too_small(colour_jpeg: Jpeg) -> None:
    assert reason_of(colour_jpeg("red", side_px=16)) is RejectReason.TOO_SMALL


def test_read_image_of_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "a.jpg")
    assert caught.value.reason is RejectReason.NOT_A_FILE


def test_read_image_of_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path)
    assert caught.value.reason is RejectReason.NOT_A_FILE


def test_read_image_of_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "a.jpg")
    assert caught.value.reason is RejectReason.EMPTY


def test_read_image_larger_than_limit_is_refused(tmp_path: Path, colour_jpeg: Jpeg) -> None:
    (tmp_path / "a.jpg").write_bytes(colour_jpeg("red"))
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "a.jpg", ImageLimits(max_bytes=100))
    assert caught.value.reason is RejectReason.TOO_LARGE


def test_read_image_that_is_gone_may_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="could not be read"):
        read_image(tmp_path / "gone.jpg")


def test_is_whole_tells_finished_from_unfinished(colour_jpeg: Jpeg) -> None:
    whole = colour_jpeg("red")
    assert is_whole(whole)
    assert not is_whole(whole[:-2])
    assert not is_whole(bytes(1000))


def test_read_image_of_every_shared_image_succeeds(pbc: Path) -> None:
    paths = sorted((pbc / "unlabelled").glob("*.jpg"))[:100]
    assert len(paths) == 100
    assert all(read_image(path).shape[2] == 3 for path in paths)


def test_decode_progressive_jpeg_without_its_last_scans_is_truncated() -> None:
    """Decoders show it blurred and say nothing."""
    whole = odd.jpeg(odd.cell_pixels(1), "progressive")
    decode_image(whole, LIMITS)
    last = whole.rindex(b"\xff\xda")
    assert reason_of(whole[:last] + b"\xff\xd9") is RejectReason.TRUNCATED


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_decode_jpeg_with_a_flat_background_has_no_hole(kind: str, quality: int) -> None:
    """A masked cell: the runs of zeros in its data are right."""
    pixels = odd.cell_pixels(2, side_px=360)
    pixels[np.hypot(*(np.mgrid[:360, :360] - 180)) > 60] = 0
    assert decode_image(odd.jpeg(pixels, kind, quality=quality), LIMITS).shape == (360, 360, 3)


def test_decode_jpeg_with_orientation_is_not_turned() -> None:
    pixels = np.ascontiguousarray(odd.cell_pixels(3)[:64])
    whole = odd.jpeg(pixels)
    turned = odd.with_orientation(whole, 6)
    assert np.array_equal(decode_image(turned, LIMITS), decode_image(whole, LIMITS))


def test_decode_jpeg_of_a_thousand_scans_is_corrupt() -> None:
    whole = odd.jpeg(odd.cell_pixels(9), "progressive")
    last = whole.rindex(b"\xff\xc4")
    assert reason_of(whole[:last] + whole[last:-2] * 1000 + b"\xff\xd9") is RejectReason.CORRUPT


def test_read_file_of_impossible_time_has_none(tmp_path: Path, colour_jpeg: Jpeg) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(colour_jpeg("red"))
    assert read_file(path, LIMITS).modified is not None
    assert modified_time(10**21) is None
    assert modified_time(-(10**21)) is None


def test_decode_of_large_images_is_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(simplejpeg.encode_jpeg(np.zeros((1600, 1600, 3), np.uint8), 90))
    at_once, most = 0, 0
    decode = simplejpeg.decode_jpeg

    def counted(*arguments: Any, **keywords: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        # Gives another thread its chance to come in between.
        time.sleep(0.02)
        pixels = decode(*arguments, **keywords)
        at_once -= 1
        return pixels

    monkeypatch.setattr("edge.image_files.read.simplejpeg.decode_jpeg", counted)
    with ThreadPoolExecutor(4) as pool:
        shapes = list(pool.map(lambda _: decode_image(content, ImageLimits()).shape, range(8)))
    assert shapes == [(1600, 1600, 3)] * 8
    assert most == 1
