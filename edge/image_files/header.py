"""Checks that a JPEG or PNG is complete and finds its size, without decoding pixels.

Decoders are tolerant: they return pixels for a progressive JPEG whose last scans are missing, for
one without its colour scans, and for a damaged arithmetic-coded one. So the file is first parsed
marker by marker, or chunk by chunk, to its end; only complete files are decoded.

Sources: ITU-T T.81 annexes B and G (JPEG); PNG specification, third edition, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from edge.errors import ImageError, RejectReason
from edge.image_files.jpeg import JPEG_END, JPEG_START, read_jpeg_size
from edge.image_files.png import PNG_END, PNG_START, read_png_size


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Format and size in pixels, from the file's own header.

    `may_be_transparent` is true for a PNG with an alpha channel or a transparent colour.
    """

    format: str
    height: int
    width: int
    may_be_transparent: bool = False


# Other formats that analyzers and archives write, by their first bytes, for the message. BMP and
# TIFF are not read because their pixels have no checksum: a partial copy whose missing part is
# zeros looks like an image with a black part.
_OTHERS: Final = {
    "TIFF": re.compile(rb"II[*+]\x00|MM\x00[*+]"),
    "BMP": re.compile(rb"BM.{4}\x00{4}", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "WebP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "JPEG 2000": re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"),
    "JPEG XL": re.compile(rb"\x00\x00\x00\x0cJXL |\xff\x0a"),
    "HEIF or AVIF": re.compile(rb".{4}ftyp(?:he[iv][cxms]|mif1|msf1|avi[fs])", re.DOTALL),
    "DICOM": re.compile(rb".{128}DICM", re.DOTALL),
    "PDF": re.compile(rb"%PDF-"),
    "ZIP": re.compile(rb"PK\x03\x04"),
}
# The first block of a file; it is all zeros while a preallocated copy has not been filled.
_BEGINNING_BYTES: Final = 4096


def read_header(content: bytes) -> ImageHeader:
    """Check that a JPEG or PNG is complete and in colour; returns format and size.

    Raises:
        ImageError: another format, another colour model, or not complete.
    """
    if content.startswith(JPEG_START):
        with _ended_by(JPEG_END, content):
            return ImageHeader("jpeg", *read_jpeg_size(content))
    if content.startswith(PNG_START):
        with _ended_by(PNG_END, content):
            return ImageHeader("png", *read_png_size(content))
    if not any(content[:_BEGINNING_BYTES]):
        raise ImageError(RejectReason.TRUNCATED, "starts with zeros: the copy is not finished")
    name = next((name for name, start in _OTHERS.items() if start.match(content)), None)
    found = f"a {name} file" if name else "neither JPEG nor PNG"
    raise ImageError(RejectReason.UNSUPPORTED_FORMAT, f"{found}; export JPEG or PNG")


@contextmanager
def _ended_by(end: bytes, content: bytes) -> Iterator[None]:
    """Report any error as TRUNCATED if the end marker is missing: the file is still incomplete."""
    try:
        yield
    except ImageError as error:
        if end in content:
            raise
        raise ImageError(RejectReason.TRUNCATED, f"no end: {error}") from error


def is_whole(content: bytes) -> bool:
    """Whether the file is complete, from its start to its end marker, without holes of zeros.

    True does not mean that the image decodes; False means that bytes are still missing.
    """
    try:
        read_header(content)
    except ImageError as error:
        return error.reason is not RejectReason.TRUNCATED
    return True
