"""Parses a JPEG marker by marker to its end. Source: ITU-T T.81, annexes B, F and G."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import Final, NoReturn

from edge.errors import ImageError, RejectReason

JPEG_START: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"

_TABLES, _QUANTIZATION, _SCAN, _START, _END = 0xC4, 0xDB, 0xDA, 0xD8, 0xD9
_JFIF, _JFIF_NAME = 0xE0, b"JFIF\0"
_WHOLE_BAND: Final = bytes((0, 63, 0))
# Start-of-frame markers: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive Huffman coding. Others are refused: decoders do not support all
# of them, and damaged arithmetic-coded data (C9, CA) decode without a warning.
_READ_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE: Final = 0xC2
# Markers without a length field: TEM and the restart markers.
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# Ends compressed data: any marker except a stuffed FF and a restart marker.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Any number of FF bytes may precede a marker.
_FILL: Final = re.compile(rb"\xff+")

# A file that was preallocated and filled out of order has holes of zeros. In 1,591 real exports the
# longest run of zero bytes is 3, and 9 after re-encoding at qualities 75 to 100. The strict decode
# alone misses one in five holes of 63 bytes, and one in thirty of 128.
HOLE: Final = bytes(16)
# If a code of zero bits means "nothing more in this block", flat background gives runs of zeros:
# up to 24 bytes in real exports at quality 50, so the limit is higher for such tables. A black mask
# around the cell gives up to 259 with tables optimised for the image. Such a file is refused:
# in files of that kind the strict decode alone misses one in three holes of 64 bytes.
_FLAT_HOLE: Final = bytes(64)
# libjpeg writes 10 scans by default. Each scan costs a pass over all pixels, and a small file can
# hold thousands of empty ones.
MAX_SCANS: Final = 32
# A colour profile has at most 255 segments. A large file can hold millions of empty ones.
MAX_SEGMENTS: Final = 2000
# Segments of tables that need not be checked again: the images of one camera have the same ones.
# A segment has at most 64 kB.
_KEPT_TABLES: Final = 16


def read_jpeg_size(content: bytes) -> tuple[int, int]:
    """Height and width of a complete colour JPEG.

    Data after the end marker, such as a second image or a vendor's trailer, are ignored.

    Raises:
        ImageError: another coding or colour model, or not complete.
    """
    return _Parser(content).parse()


def jpeg_sampling(content: bytes) -> str:
    """Sampling factors of a JPEG in the notation of cjpeg: `2x2,1x1,1x1`.

    Raises:
        ImageError: as `read_jpeg_size`.
    """
    parser = _Parser(content)
    parser.parse()
    return parser.sampling


def corrected_jpeg(content: bytes) -> bytes:
    """The same JPEG, with wrong values corrected that decoders warn about but do not use.

    These are a JFIF version other than 1, and the band of a sequential scan: some hardware encoders
    write 0 to 0 where the standard demands 0 to 63.

    Raises:
        ImageError: as `read_jpeg_size`.
    """
    parser = _Parser(content)
    parser.parse()
    corrected = bytearray(content)
    for start, replacement in parser.corrections:
        corrected[start : start + len(replacement)] = replacement
    return bytes(corrected)


class _Parser:
    """One pass over a JPEG, and the state of its segments so far."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._offset = 2
        self._size: tuple[int, int] | None = None
        self.sampling = ""
        # Offsets of values that decoders do not use, and their correct bytes.
        self.corrections: list[tuple[int, bytes]] = []
        self._is_progressive = False
        # By component and coefficient: the number of low bits that later scans must add; 0 when
        # the coefficient is complete.
        self._missing: dict[int, list[int]] = {}
        # Whether a code of zero bits means a flat block, by class and number of the Huffman table.
        self._zeros_are_flat: dict[int, bool] = {}
        self._scans = 0

    def parse(self) -> tuple[int, int]:
        for _ in range(MAX_SEGMENTS):
            marker = self._next_marker()
            if marker == _END:
                return self._conclude()
            if marker == _START:
                _refuse_truncated("another JPEG begins before this one's end marker")
            if marker not in _STANDALONE:
                self._read_segment(marker)
        return _refuse_corrupt(f"the JPEG has more than {MAX_SEGMENTS} segments")

    def _next_marker(self) -> int:
        content = self._content
        if content[self._offset : self._offset + 1] != b"\xff":
            if self._offset >= len(content):
                _refuse_truncated("the JPEG ends among its markers")
            if not any(content[self._offset : self._offset + len(HOLE)]):
                _refuse_truncated("a hole of zeros among the JPEG markers")
            _refuse_corrupt("the JPEG's markers are damaged")
        if fill := _FILL.match(content, self._offset):
            self._offset = fill.end()
        if self._offset >= len(content):
            _refuse_truncated("the JPEG ends among its markers")
        self._offset += 1
        return content[self._offset - 1]

    def _read_segment(self, marker: int) -> None:
        if self._offset + 2 > len(self._content):
            _refuse_truncated("the JPEG ends among its markers")
        (length,) = struct.unpack_from(">H", self._content, self._offset)
        body = self._content[self._offset + 2 : self._offset + length]
        self._offset += max(2, length)
        if self._offset > len(self._content):
            _refuse_truncated("the JPEG ends among its markers")
        if marker == _JFIF and body.startswith(_JFIF_NAME) and len(body) > len(_JFIF_NAME):
            self.corrections.append((self._offset - len(body) + len(_JFIF_NAME), b"\x01"))
        if marker in _FRAMES:
            self._read_frame(marker, body)
        elif marker == _TABLES:
            self._zeros_are_flat.update(_huffman_tables(body))
        elif marker == _QUANTIZATION:
            _check_quantization(body)
        elif marker == _SCAN:
            self._read_scan(body)

    def _read_frame(self, marker: int, body: bytes) -> None:
        if self._size:
            _refuse_corrupt("the JPEG has a second frame header")
        if marker not in _READ_FRAMES:
            message = f"JPEG coding SOF{marker - 0xC0}; baseline and progressive Huffman are read"
            raise ImageError(RejectReason.UNSUPPORTED_FORMAT, message)
        if len(body) < 6:
            _refuse_corrupt("the JPEG's frame header is too short")
        precision, height, width, components = struct.unpack_from(">BHHB", body)
        if precision != 8 or components != 3:
            raise ImageError(
                RejectReason.UNSUPPORTED_COLOUR,
                f"{components} components of {precision} bits, colour images have 3 of 8",
            )
        ids, factors = body[6:15:3], [(both >> 4, both & 0x0F) for both in body[7:15:3]]
        are_possible = all(1 <= factor <= 4 for pair in factors for factor in pair)
        if len(body) != 15 or len(set(ids)) != 3 or not are_possible:
            _refuse_corrupt("the JPEG's frame header is damaged")
        self.sampling = ",".join(f"{across}x{down}" for across, down in factors)
        self._size = height, width
        self._is_progressive = marker == _PROGRESSIVE
        self._missing = {id_: [_NOTHING_YET] * 64 for id_ in ids}

    def _read_scan(self, body: bytes) -> None:
        if not self._size:
            _refuse_corrupt("the JPEG has no frame header")
        self._scans += 1
        if self._scans > MAX_SCANS:
            _refuse_corrupt(f"the JPEG has more than {MAX_SCANS} scans")
        count = body[0] if body else 0
        if not 1 <= count <= 3 or len(body) != 4 + 2 * count:
            _refuse_corrupt("a JPEG scan header is damaged")
        first, last, bits = body[-3:]
        if not self._is_progressive:
            first, last, bits = 0, 63, 0
            self.corrections.append((self._offset - 3, _WHOLE_BAND))
        for component in body[1:-3:2]:
            if component not in self._missing or first > last or last > 63:
                _refuse_corrupt("a JPEG scan header is damaged")
            self._missing[component][first : last + 1] = [bits & 0x0F] * (last - first + 1)
        end = self._end_of_data()
        hole = self._hole(body, is_mean=self._is_progressive and first == 0)
        if hole and self._content.find(hole, self._offset, end) >= 0:
            _refuse_truncated("a hole of zeros in the compressed data")
        self._offset = end

    def _hole(self, scan: bytes, *, is_mean: bool) -> bytes | None:
        """The shortest run of zeros that no encoder writes; None if any run may be valid."""
        if is_mean:
            # A progressive scan of the blocks' mean values has plain bits, or codes of one bit per
            # block of flat background, so any run may be valid. The strict decode checks that the
            # number of blocks is right.
            tables = [table_and_id >> 4 for table_and_id in scan[2:-3:2]]
            is_refinement = scan[-1] >> 4 > 0
            if is_refinement or all(self._zeros_are_flat.get(table) for table in tables):
                return None
            return HOLE
        tables = [0x10 | table_and_id & 0x0F for table_and_id in scan[2:-3:2]]
        is_flat = all(self._zeros_are_flat.get(table) for table in tables)
        return _FLAT_HOLE if is_flat else HOLE

    def _end_of_data(self) -> int:
        found = _NEXT_MARKER.search(self._content, self._offset)
        if found is None:
            _refuse_truncated("the JPEG has no end marker")
        return found.start()

    def _conclude(self) -> tuple[int, int]:
        if not self._size:
            _refuse_corrupt("the JPEG has no frame header")
        # If scans are missing, decoders return a blurred or colourless image without a warning.
        if any(any(missing) for missing in self._missing.values()):
            _refuse_truncated("the JPEG ends before its last scan")
        return self._size


# Marks a coefficient without any scan so far; larger than any bit position.
_NOTHING_YET: Final = 16


@lru_cache(_KEPT_TABLES)
def _huffman_tables(body: bytes) -> tuple[tuple[int, bool], ...]:
    """Whether a code of zero bits means a flat block, for each table of a segment.

    By the table's class and number. A table that is damaged is refused.
    """
    found: list[tuple[int, bool]] = []
    offset = 0
    while offset < len(body):
        table, counts = body[offset], body[offset + 1 : offset + 17]
        first, offset = offset + 17, offset + 17 + sum(counts)
        symbols = body[first:offset]
        # Each symbol has one code; a hole of zeros in the table repeats the symbol 0.
        if offset > len(body) or not symbols or len(set(symbols)) < len(symbols):
            _refuse_corrupt("a JPEG Huffman table is damaged")
        # The first symbol has the shortest code, which consists of zero bits. It means a flat
        # block if it is "same mean as before" or "end of block(s)"; F0 is a run of 16 zeros.
        ends_block = symbols[0] & 0x0F == 0 and symbols[0] != 0xF0
        found.append((table, ends_block if table >> 4 else symbols[0] == 0))
    return tuple(found)


@lru_cache(_KEPT_TABLES)
def _check_quantization(body: bytes) -> None:
    """Refuse steps of zero: the standard forbids them, and decoders return a black image."""
    offset = 0
    while offset < len(body):
        is_wide = body[offset] >> 4 > 0
        end = offset + 1 + (128 if is_wide else 64)
        if end > len(body):
            _refuse_corrupt("a JPEG quantization table is damaged")
        steps = struct.unpack_from(">64H" if is_wide else ">64B", body, offset + 1)
        if 0 in steps:
            _refuse_corrupt("a JPEG quantization table has a step of zero")
        offset = end


def _refuse_truncated(message: str) -> NoReturn:
    raise ImageError(RejectReason.TRUNCATED, message)


def _refuse_corrupt(message: str) -> NoReturn:
    raise ImageError(RejectReason.CORRUPT, message)
