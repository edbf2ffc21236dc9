"""Follow a JPEG marker by marker to its end. Source: ITU-T T.81, annexes B, F and G."""

from __future__ import annotations

import re
import struct
from typing import Final, NoReturn

from edge.errors import ImageError, RejectReason

JPEG_START: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"

_TABLES, _QUANTIZATION, _SCAN, _START, _END = 0xC4, 0xDB, 0xDA, 0xD8, 0xD9
_JFIF, _JFIF_NAME = 0xE0, b"JFIF\0"
_WHOLE_BAND: Final = bytes((0, 63, 0))
# Start-of-frame markers: all of C0..CF but DHT (C4), JPG (C8) and DAC (CC).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive Huffman coding. Of the others no decoder reads all, and a
# damaged arithmetic code (C9, CA) decodes without a warning: it could not be told from a whole one.
_READ_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE: Final = 0xC2
# Markers without a length field: TEM and the restart markers.
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# What ends compressed data: any marker but a stuffed FF and a restart marker.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Any number of these may stand before a marker.
_FILL: Final = re.compile(rb"\xff+")

# A file that was preallocated and filled out of order has holes of zeros. 1,591 real exports hold
# no run of more than 3 zero bytes, and re-encoded at qualities 75 to 100 none of more than 9.
# The strict decode alone misses one in five of holes of 63 bytes, one in thirty of 128.
HOLE: Final = bytes(16)
# Where the code of zero bits means "nothing more in this block" a flat background may have runs
# of zeros: 24 bytes were seen in real exports at quality 50. A black mask around the cell gives
# up to 259 with tables made for the image; such a file is refused, because the
# strict decode alone misses one in three of the holes of 64 bytes in others of its kind.
_FLAT_HOLE: Final = bytes(64)
# libjpeg's own progressive script has 10 scans. Each costs a pass over all pixels, and thousands
# of empty ones fit into a small file.
MAX_SCANS: Final = 32
# A profile is cut into at most 255 segments. Millions of empty ones fit into a large file.
MAX_SEGMENTS: Final = 2000


def read_jpeg_size(content: bytes) -> tuple[int, int]:
    """Height and width of a JPEG that is whole and colour.

    What an exporter appends behind the end marker, a second image or a vendor's trailer, counts
    as not there.

    Raises:
        ImageError: another coding or colour model, or not whole.
    """
    return _Walk(content).follow()


def jpeg_sampling(content: bytes) -> str:
    """Sampling factors of a JPEG that `read_jpeg_size` takes, as cjpeg names them: `2x2,1x1,1x1`.

    Raises:
        ImageError: as `read_jpeg_size`.
    """
    walk = _Walk(content)
    walk.follow()
    return walk.sampling


def usual_jpeg(content: bytes) -> bytes:
    """The same JPEG, with what decoders warn of but do not use as most encoders write it.

    That is a JFIF version other than 1, and the band that a sequential scan names. Some encoders in
    hardware write it as 0 to 0, where the standard has 0 to 63.

    Raises:
        ImageError: as `read_jpeg_size`.
    """
    walk = _Walk(content)
    walk.follow()
    usual = bytearray(content)
    for start, replacement in walk.unusual:
        usual[start : start + len(replacement)] = replacement
    return bytes(usual)


class _Walk:
    """One pass over a JPEG, with what its segments said so far."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._offset = 2
        self._size: tuple[int, int] | None = None
        self.sampling = ""
        # Where something is that decoders warn of and do not use, and what is usual there.
        self.unusual: list[tuple[int, bytes]] = []
        self._is_progressive = False
        # Of each component and coefficient the bit that is still to come; 0 when it is exact.
        self._missing: dict[int, list[int]] = {}
        # Whether zero bits mean a flat block, by class and number of the Huffman table.
        self._zeros_are_flat: dict[int, bool] = {}
        self._scans = 0

    def follow(self) -> tuple[int, int]:
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
            self.unusual.append((self._offset - len(body) + len(_JFIF_NAME), b"\x01"))
        if marker in _FRAMES:
            self._read_frame(marker, body)
        elif marker == _TABLES:
            self._read_tables(body)
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

    def _read_tables(self, body: bytes) -> None:
        offset = 0
        while offset < len(body):
            table, counts = body[offset], body[offset + 1 : offset + 17]
            first, offset = offset + 17, offset + 17 + sum(counts)
            symbols = body[first:offset]
            # One symbol has one code; a hole in the table is many times the symbol 0.
            if offset > len(body) or not symbols or len(set(symbols)) < len(symbols):
                _refuse_corrupt("a JPEG Huffman table is damaged")
            # The shortest code, of zero bits alone, belongs to the first symbol. Flat is a mean
            # that does not change, or the end of a block or of a band of blocks (F0: 16 zeros).
            ends_block = symbols[0] & 0x0F == 0 and symbols[0] != 0xF0
            self._zeros_are_flat[table] = ends_block if table >> 4 else symbols[0] == 0

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
            self.unusual.append((self._offset - 3, _WHOLE_BAND))
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
        """The shortest run of zeros that no encoder writes; None where any may be right."""
        if is_mean:
            # A pass of a progressive JPEG over the blocks' mean values: bare bits, or codes that
            # are one bit for each block of a flat background. Their number must come out, which
            # the strict decode sees.
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
        # A decoder shows a blurred or colourless image where scans are missing, without a word.
        if any(any(missing) for missing in self._missing.values()):
            _refuse_truncated("the JPEG ends before its last scan")
        return self._size


# More than any bit position of a scan.
_NOTHING_YET: Final = 16


def _check_quantization(body: bytes) -> None:
    """Refuse steps of zero, which the standard forbids and decoders take for a black image."""
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
