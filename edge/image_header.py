"""What a JPEG or PNG says of itself, read without decoding a pixel.

Sources: ITU-T T.81 annex B (JPEG markers); PNG specification, third edition, section 5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from edge.errors import ImageError, RejectReason

JPEG_START: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"
PNG_START: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"IEND\xaeB`\x82"

# Start-of-frame markers: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC).
_FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
# Markers without a length field: TEM and the restart markers.
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})

# Entropy-coded data of a real encoder holds no run of zero bytes this long; a file that was
# preallocated and filled out of order does.
HOLE: Final = bytes(64)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Format and size in pixels, from the file's own header."""

    format: str
    height: int
    width: int


def read_header(content: bytes) -> ImageHeader:
    """Check that a JPEG or PNG is whole and colour, and say how large it is.

    Raises:
        ImageError: another format, another colour model, or not whole.
    """
    if content.startswith(JPEG_START):
        return _read_jpeg(content)
    if content.startswith(PNG_START):
        return _read_png(content)
    if not any(content[:4096]):
        raise ImageError(RejectReason.TRUNCATED, "starts with zeros: the copy is not finished")
    raise ImageError(RejectReason.UNSUPPORTED_FORMAT, "neither JPEG nor PNG")


def is_whole(content: bytes) -> bool:
    """Whether start and end markers are there and no hole lies between them.

    True does not mean that the image decodes; False means that bytes are still missing.
    """
    try:
        read_header(content)
    except ImageError as error:
        return error.reason is not RejectReason.TRUNCATED
    return True


def _read_jpeg(content: bytes) -> ImageHeader:
    header: ImageHeader | None = None
    offset = 2
    while True:
        marker, offset = _next_marker(content, offset)
        if marker in _STANDALONE:
            continue
        length = _uint16(content, offset)
        if marker in _FRAME_MARKERS:
            header = _read_frame(content, offset)
        if marker == _START_OF_SCAN:
            break
        offset += length
    if header is None:
        raise ImageError(RejectReason.CORRUPT, "the JPEG has no frame header")
    # Compressed data hold no end marker. What exporters append behind it hides nothing.
    end = content.rfind(JPEG_END, offset)
    if end < 0:
        raise ImageError(RejectReason.TRUNCATED, "the JPEG has no end marker")
    if HOLE in content[offset:end]:
        raise ImageError(RejectReason.TRUNCATED, "a hole of zeros in the compressed data")
    return header


def _next_marker(content: bytes, offset: int) -> tuple[int, int]:
    if content[offset : offset + 1] != b"\xff":
        if not any(content[offset : offset + len(HOLE)]):
            raise ImageError(RejectReason.TRUNCATED, "a hole of zeros among the JPEG markers")
        raise ImageError(RejectReason.CORRUPT, "the JPEG's markers are damaged")
    while content[offset : offset + 1] == b"\xff":  # fill bytes may precede a marker
        offset += 1
    if offset >= len(content):
        raise ImageError(RejectReason.TRUNCATED, "the JPEG ends among its markers")
    return content[offset], offset + 1


def _read_frame(content: bytes, offset: int) -> ImageHeader:
    if offset + 8 > len(content):
        raise ImageError(RejectReason.TRUNCATED, "the JPEG ends in its frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", content, offset + 2)
    if precision != 8 or components != 3:
        raise ImageError(
            RejectReason.UNSUPPORTED_COLOUR,
            f"{components} components of {precision} bits, colour images have 3 of 8",
        )
    return ImageHeader("jpeg", height, width)


def _uint16(content: bytes, offset: int) -> int:
    if offset + 2 > len(content):
        raise ImageError(RejectReason.TRUNCATED, "the JPEG ends among its markers")
    return int(struct.unpack_from(">H", content, offset)[0])


def _read_png(content: bytes) -> ImageHeader:
    if not content.endswith(PNG_END):
        raise ImageError(RejectReason.TRUNCATED, "the PNG has no end chunk")
    if content[12:16] != b"IHDR":
        raise ImageError(RejectReason.CORRUPT, "the PNG has no header chunk")
    width, height, depth, colour_type = struct.unpack_from(">IIBB", content, 16)
    # Colour types: 2 is RGB, 3 is a palette, 6 is RGB with alpha.
    if depth > 8 or colour_type not in (2, 3, 6):
        raise ImageError(
            RejectReason.UNSUPPORTED_COLOUR,
            f"PNG of colour type {colour_type} with {depth} bits, colour of 8 bits is needed",
        )
    return ImageHeader("png", height, width)
