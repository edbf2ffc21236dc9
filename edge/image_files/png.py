"""Parses a PNG chunk by chunk to its end. Source: PNG specification, third edition."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.errors import ImageError, RejectReason

PNG_START: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"IEND\xaeB`\x82"

_RGB, _PALETTE, _RGB_ALPHA = 2, 3, 6
_SAMPLES: Final = {_RGB: 3, _PALETTE: 1, _RGB_ALPHA: 4}
# A colour PNG has about ten chunks besides its data, and data chunks of at least a kilobyte.
MAX_CHUNKS: Final = 25_000
# Data can unpack to a thousand times their size. Below this limit that takes less than a second.
_HARMLESS_BYTES: Final = 500_000
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Start:
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    colour_type: int
    interlace: int

    @property
    def unpacked_bytes(self) -> int:
        """An upper bound of the unpacked data's size: rows with their filter bytes."""
        bits = self.width * self.depth * _SAMPLES[self.colour_type]
        # Seven interlaced passes have about twice the rows, each rounded up to a whole byte.
        return self.height * (bits // 8 + 2) + (self.height * 4 + 64 if self.interlace else 0)


def read_png_size(content: bytes) -> tuple[int, int, bool]:
    """Height and width of a complete colour PNG, and whether it may be transparent.

    Data after the end chunk are ignored.

    Raises:
        ImageError: another colour model, an animation, or not complete.
    """
    chunks = _chunks(content)
    start = _read_start(next(chunks, (b"", b"")))
    has_transparent_colour = False
    data: list[memoryview] = []
    for type_, body in chunks:
        if type_ == b"acTL":
            raise ImageError(RejectReason.UNSUPPORTED_FORMAT, "an animated PNG is not one image")
        if type_ == b"IDAT":
            data.append(memoryview(body))
        has_transparent_colour |= type_ == b"tRNS"
    _check_amount(data, start)
    return start.height, start.width, start.colour_type == _RGB_ALPHA or has_transparent_colour


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes | memoryview]]:
    """Type and body of each chunk up to IEND; every checksum is verified."""
    view, offset = memoryview(content), len(PNG_START)
    for _ in range(MAX_CHUNKS):
        if offset + 12 > len(content):
            raise ImageError(RejectReason.TRUNCATED, "the PNG has no end chunk")
        length, type_ = struct.unpack_from(">I4s", content, offset)
        end = offset + 12 + length
        if type_ == bytes(4):
            raise ImageError(RejectReason.TRUNCATED, "a hole of zeros among the PNG chunks")
        if not type_.isalpha():
            raise ImageError(RejectReason.CORRUPT, "the PNG's chunks are damaged")
        if end > len(content):
            raise ImageError(RejectReason.TRUNCATED, "the PNG ends within a chunk")
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(view[offset + 4 : end - 4]) != checksum:
            raise ImageError(RejectReason.CORRUPT, "a PNG chunk does not match its checksum")
        if type_ == b"IEND":
            return
        yield type_, view[offset + 8 : end - 4]
        offset = end
    raise ImageError(RejectReason.CORRUPT, f"the PNG has more than {MAX_CHUNKS} chunks")


def _read_start(chunk: tuple[bytes, bytes | memoryview]) -> _Start:
    type_, body = chunk
    if type_ != b"IHDR" or len(body) != 13:
        raise ImageError(RejectReason.CORRUPT, "the PNG has no header chunk")
    width, height, depth, colour_type, _, _, interlace = struct.unpack(">IIBBBBB", body)
    if depth > 8 or colour_type not in _SAMPLES:
        raise ImageError(
            RejectReason.UNSUPPORTED_COLOUR,
            f"PNG of colour type {colour_type} with {depth} bits, colour of 8 bits is needed",
        )
    return _Start(width, height, depth, colour_type, interlace)


def _check_amount(data: list[memoryview], start: _Start) -> None:
    """Refuse data that unpack to more than the image needs: libpng would unpack all of them."""
    if sum(len(piece) for piece in data) < _HARMLESS_BYTES:
        return
    unpacker, unpacked = zlib.decompressobj(), 0
    try:
        for piece in data:
            rest: bytes | memoryview = piece
            while rest:
                unpacked += len(unpacker.decompress(rest, _PIECE_BYTES))
                rest = unpacker.unconsumed_tail
                if unpacked > start.unpacked_bytes:
                    message = "the PNG's data unpack to more than its pixels"
                    raise ImageError(RejectReason.CORRUPT, message)
    except zlib.error as error:
        raise ImageError(RejectReason.CORRUPT, "the PNG's data are damaged") from error
