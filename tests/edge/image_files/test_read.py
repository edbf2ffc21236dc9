from __future__ import annotations

import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from edge.errors import ImageError, RejectReason, TransientError
from edge.image_files.header import is_whole
from edge.image_files.read import ImageLimits, decode_image, modified_time, read_file, read_image
from tests.support.hostile import odd_images as odd
from tests.support.images import Jpeg

LIMITS = ImageLimits()


def reason_of(content: bytes, limits: ImageLimits = LIMITS) -> RejectReason:
    with pytest.raises(ImageError) as caught:
        decode_image(content, limits)
    return caught.value.reason


def png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def test_decode_jpeg_gives_rgb(colour_jpeg: Jpeg) -> None:
    pixels = decode_image(colour_jpeg("red"), LIMITS)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert pixels[..., 0].mean() > 180
    assert pixels[..., 2].mean() < 60


def test_decode_png_gives_rgb() -> None:
    bgr = np.zeros((40, 50, 3), np.uint8)
    bgr[..., 2] = 250
    pixels = decode_image(png(bgr), LIMITS)
    assert pixels.shape == (40, 50, 3)
    assert pixels[..., 0].min() == 250


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


def test_decode_16_bit_png_is_unsupported_colour() -> None:
    assert reason_of(png(np.zeros((64, 64, 3), np.uint16))) is RejectReason.UNSUPPORTED_COLOUR


def test_decode_damaged_png_is_refused() -> None:
    content = bytearray(png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    content[len(content) // 2] ^= 0xFF
    assert reason_of(bytes(content)) is RejectReason.CORRUPT


def test_decode_png_cut_in_half_is_truncated() -> None:
    content = png(np.zeros((64, 64, 3), np.uint8))
    assert reason_of(content[: len(content) // 2]) is RejectReason.TRUNCATED


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


def test_decode_png_with_opaque_alpha_gives_its_colours() -> None:
    pixels = odd.cell_pixels(4)
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    assert np.array_equal(decode_image(odd.png(alpha, colour=6), LIMITS), pixels)


def test_decode_png_with_transparent_pixel_is_unsupported_colour() -> None:
    pixels = odd.cell_pixels(4)
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    alpha[5, 5, 3] = 0
    assert reason_of(odd.png(alpha, colour=6)) is RejectReason.UNSUPPORTED_COLOUR


def test_decode_animated_png_is_unsupported_format() -> None:
    moving = odd.animation(odd.cell_pixels(5), odd.cell_pixels(6), hides_first=True)
    assert reason_of(moving) is RejectReason.UNSUPPORTED_FORMAT


def test_decode_png_with_bytes_behind_its_end_gives_the_same_pixels() -> None:
    whole = odd.png(odd.cell_pixels(7))
    assert np.array_equal(decode_image(whole + bytes(500), LIMITS), decode_image(whole, LIMITS))


def test_decode_png_that_unpacks_to_more_than_its_pixels_is_corrupt() -> None:
    bomb = zlib.compress(bytes(520_000_000), 9)
    assert reason_of(odd.png(odd.cell_pixels(8), data=bomb)) is RejectReason.CORRUPT


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


# Of those that cjpeg writes all that libjpeg-turbo's simple interface knows, and some that it does
# not.
READ_SAMPLINGS = (
    *("1x1,1x1,1x1", "2x1,1x1,1x1", "1x2,1x1,1x1", "2x2,1x1,1x1", "4x1,1x1,1x1", "1x4,1x1,1x1"),
    *("2x1,2x1,2x1", "1x2,1x2,1x2", "2x2,2x1,2x1", "2x2,1x2,1x2"),
)
UNREAD_SAMPLINGS = (
    *("3x1,1x1,1x1", "1x3,1x1,1x1", "4x2,1x1,1x1", "2x4,1x1,1x1", "3x2,1x1,1x1", "2x3,1x1,1x1"),
    *("4x1,2x1,2x1", "2x2,1x2,2x1", "1x1,2x2,2x2", "1x2,1x1,1x2", "4x1,1x1,2x1", "2x2,1x1,2x2"),
    "3x1,2x1,1x1",
)


@pytest.mark.parametrize("sampling", READ_SAMPLINGS)
def test_decode_jpeg_of_any_usual_sampling_gives_the_pixels_of_both_decoders(sampling: str) -> None:
    whole = odd.sampled_jpeg(sampling)
    second = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert second is not None
    assert np.array_equal(decode_image(whole, LIMITS), second)
    assert np.array_equal(second, np.full((96, 96, 3), 128))


@pytest.mark.parametrize("sampling", UNREAD_SAMPLINGS)
def test_decode_whole_jpeg_of_a_sampling_that_is_not_read_is_unsupported_and_not_corrupt(
    sampling: str,
) -> None:
    whole = odd.sampled_jpeg(sampling)
    with pytest.raises(ImageError, match=f"sampling {sampling} is not read") as caught:
        decode_image(whole, LIMITS)
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT
    for sixteenth in range(1, 16):
        half = whole[: len(whole) * sixteenth // 16]
        assert reason_of(half) is RejectReason.TRUNCATED
        assert reason_of(half.ljust(len(whole), b"\0")) is RejectReason.TRUNCATED


@pytest.mark.parametrize("quality", [30, 95])
def test_decode_jpeg_with_a_warning_of_its_header_alone_gives_the_same_pixels(quality: int) -> None:
    whole = odd.jpeg(odd.cell_pixels(1), quality=quality)
    unusual = bytearray(whole)
    unusual[whole.index(b"JFIF\0") + 5] = 2
    end = odd.data_start(whole)
    assert unusual[end - 3 : end] == b"\x00\x3f\x00"
    unusual[end - 2] = 0
    with pytest.raises(ValueError, match="revision"):
        simplejpeg.decode_jpeg(bytes(unusual), strict=True)
    assert np.array_equal(decode_image(bytes(unusual), LIMITS), decode_image(whole, LIMITS))
    damaged = bytes(unusual[: end + 400]) + b"\xff\xd9"
    assert reason_of(damaged) is RejectReason.TRUNCATED


def test_decode_jpeg_of_an_impossible_sampling_is_corrupt() -> None:
    whole = odd.sampled_jpeg("1x1,1x1,1x1")
    frame = whole.index(b"\xff\xc0")
    for factors in (b"\x01", b"\x10", b"\x51", b"\x15"):
        damaged = whole[: frame + 11] + factors + whole[frame + 12 :]
        assert reason_of(damaged) is RejectReason.CORRUPT


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"II*\x00", "TIFF"),
        (b"MM\x00*", "TIFF"),
        (b"BM\x36\x10\x00\x00\x00\x00\x00\x00", "BMP"),
        (b"GIF89a", "GIF"),
        (b"RIFF\x00\x10\x00\x00WEBP", "WebP"),
        (odd.FOREIGN["jp2"], "JPEG 2000"),
        (odd.FOREIGN["jxl"], "JPEG XL"),
        (odd.FOREIGN["heic"], "HEIF or AVIF"),
        (odd.FOREIGN["heic"].replace(b"ftypheic", b"ftyphevc"), "HEIF or AVIF"),
        (odd.FOREIGN["heic"].replace(b"ftypheic", b"ftypavis"), "HEIF or AVIF"),
        (odd.FOREIGN["dicom"], "DICOM"),
    ],
)
def test_decode_other_image_format_says_which_and_what_to_export(start: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=f"a {name} file; export JPEG or PNG") as caught:
        decode_image(start + bytes(range(1, 200)) * 10, LIMITS)
    assert caught.value.reason is RejectReason.UNSUPPORTED_FORMAT
