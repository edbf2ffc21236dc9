"""Tests for edge.image_files: samplings of JPEG, PNG, and formats that are not read."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
import simplejpeg

from edge.errors import ImageError, RejectReason
from edge.image_files.read import decode_image
from tests.edge.image_files.reading import LIMITS, reason_of
from tests.support.hostile import odd_images as odd


def png(image: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def test_decode_png_gives_rgb() -> None:
    bgr = np.zeros((40, 50, 3), np.uint8)
    bgr[..., 2] = 250
    pixels = decode_image(png(bgr), LIMITS)
    assert pixels.shape == (40, 50, 3)
    assert pixels[..., 0].min() == 250


def test_decode_16_bit_png_is_unsupported_colour() -> None:
    assert reason_of(png(np.zeros((64, 64, 3), np.uint16))) is RejectReason.UNSUPPORTED_COLOUR


def test_decode_damaged_png_is_refused() -> None:
    content = bytearray(png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    content[len(content) // 2] ^= 0xFF
    assert reason_of(bytes(content)) is RejectReason.CORRUPT


def test_decode_png_cut_in_half_is_truncated() -> None:
    content = png(np.zeros((64, 64, 3), np.uint8))
    assert reason_of(content[: len(content) // 2]) is RejectReason.TRUNCATED


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
