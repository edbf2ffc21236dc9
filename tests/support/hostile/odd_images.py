"""Parts of hostile images: JPEG and PNG bytes put together by hand, and files of other kinds."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
PNG_START: Final = b"\x89PNG\r\n\x1a\n"


def cell_pixels(seed: int, *, side_px: int = 96) -> Pixels:
    """A disc with texture on a bright, noisy background: about what an analyzer exports."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side_px, :side_px]
    centre = rng.uniform(0.4, 0.6, 2) * side_px
    inside = np.hypot(y - centre[0], x - centre[1]) < side_px * rng.uniform(0.2, 0.4)
    colour = np.where(inside[..., None], rng.integers(40, 160, 3), rng.integers(190, 240, 3))
    return np.clip(colour + rng.normal(0, 12, (side_px, side_px, 3)), 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, kind: str = "baseline", *, quality: int = 90) -> bytes:
    """JPEG bytes: baseline, optimised, progressive, restart, full (4:4:4)."""
    if kind == "full":
        return bytes(simplejpeg.encode_jpeg(pixels, quality, colorsubsampling="444"))
    extra = {
        "baseline": [],
        "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
        "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        "restart": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    }[kind]
    return encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality, *extra])


def encoded(
    suffix: str, pixels: Pixels | NDArray[np.uint16], extra: list[int] | None = None
) -> bytes:
    """The bytes that OpenCV writes for a file of this kind."""
    return bytes(cv2.imencode(suffix, pixels, extra or [])[1].tobytes())


def sampled_jpeg(sampling: str, *, side_px: int = 96) -> bytes:
    """A whole JPEG of one grey with any sampling factors, such as `4x2,1x1,1x1`.

    Each block says "no change of the mean" and "nothing more", in the standard's own tables.
    """
    factors = [tuple(map(int, pair.split("x"))) for pair in sampling.split(",")]
    whole = jpeg(np.full((side_px, side_px, 3), 128, np.uint8), "full")
    frame = next(start for marker, start, _ in segments(whole) if marker == 0xC0)
    head = bytearray(whole[: data_start(whole)])
    for component, (across, down) in enumerate(factors):
        head[frame + 11 + 3 * component] = across << 4 | down
    unit_px = [8 * max(pair[axis] for pair in factors) for axis in (0, 1)]
    units = -(-side_px // unit_px[0]) * -(-side_px // unit_px[1])
    blocks = [across * down for across, down in factors]
    bits = ("001010" * blocks[0] + "0000" * (blocks[1] + blocks[2])) * units
    bits += "1" * (-len(bits) % 8)
    return bytes(head) + int(bits, 2).to_bytes(len(bits) // 8) + b"\xff\xd9"


def segments(content: bytes) -> list[tuple[int, int, int]]:
    """Marker, start and end of each JPEG segment before the compressed data."""
    found, offset = [], 2
    while content[offset + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, offset + 2)
        found.append((content[offset + 1], offset, offset + 2 + length))
        offset += 2 + length
    (length,) = struct.unpack_from(">H", content, offset + 2)
    return [*found, (0xDA, offset, offset + 2 + length)]


def data_start(content: bytes) -> int:
    """Where the compressed data of the first scan begin."""
    return segments(content)[-1][2]


def with_size(content: bytes, height: int, width: int) -> bytes:
    """The same JPEG with another size in its frame header."""
    frame = next(s for m, s, _ in segments(content) if 0xC0 <= m <= 0xCF and m not in (0xC4, 0xCC))
    return content[: frame + 5] + struct.pack(">HH", height, width) + content[frame + 9 :]


def with_orientation(content: bytes, orientation: int) -> bytes:
    """The same JPEG with an EXIF orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]


def chunk(type_: bytes, body: bytes, checksum: int | None = None) -> bytes:
    """One PNG chunk, with a wrong checksum where one is given."""
    right = zlib.crc32(type_ + body)
    end = struct.pack(">I", right if checksum is None else checksum)
    return struct.pack(">I", len(body)) + type_ + body + end


def png_start(width: int, height: int, *, depth: int = 8, colour: int = 2, lace: int = 0) -> bytes:
    """Signature and header chunk."""
    return PNG_START + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)
    )


def png_rows(pixels: Pixels) -> bytes:
    """Rows with filter 0 of 8-bit pixels with any number of channels."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


PNG_END: Final = chunk(b"IEND", b"")


def png(
    pixels: Pixels, before: bytes = b"", *, colour: int = 2, data: bytes | None = None
) -> bytes:
    """A PNG with chunks `before` its data."""
    height, width = pixels.shape[:2]
    data = zlib.compress(png_rows(pixels)) if data is None else data
    return png_start(width, height, colour=colour) + before + chunk(b"IDAT", data) + PNG_END


def animation(first: Pixels, second: Pixels, *, hides_first: bool) -> bytes:
    """An APNG of two frames, or of one that hides the still image."""
    height, width = first.shape[:2]

    def control(number: int) -> bytes:
        return chunk(b"fcTL", struct.pack(">5IHHBB", number, width, height, 0, 0, 1, 10, 0, 0))

    parts = [chunk(b"acTL", struct.pack(">II", 1 if hides_first else 2, 0))]
    if not hides_first:
        parts.append(control(0))
    parts.append(chunk(b"IDAT", zlib.compress(png_rows(first))))
    number = 0 if hides_first else 1
    frame = struct.pack(">I", number + 1) + zlib.compress(png_rows(second))
    parts += [control(number), chunk(b"fdAT", frame)]
    return png_start(width, height) + b"".join(parts) + PNG_END


def interlaced(side_px: int) -> bytes:
    """An Adam7 PNG of one colour."""
    rows = b""
    for x0, y0, dx, dy in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
        *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ):
        columns = len(range(x0, side_px, dx))
        rows += (b"\0" + bytes((200, 90, 120)) * columns) * len(range(y0, side_px, dy))
    data = chunk(b"IDAT", zlib.compress(rows))
    return png_start(side_px, side_px, lace=1) + data + PNG_END


def heic() -> bytes:
    """The first box of a HEIC file, and noise."""
    return struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(range(256)) * 8


FOREIGN: Final = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>\n' * 9,
    "html": b"<!doctype html><title>404 Not Found</title>\n" * 9,
    "zip": b"PK\x03\x04" + bytes(range(256)) * 4 + b"PK\x05\x06" + bytes(18),
    "pdf": b"%PDF-1.7\n" + b"1 0 obj<<>>endobj\n" * 20 + b"%%EOF",
    "elf": b"\x7fELF\x02\x01\x01" + bytes(9) + bytes(range(256)) * 4,
    "exe": b"MZ\x90\0" + bytes(range(256)) * 4,
    "script": b"#!/bin/sh\nexec rm -rf nothing\n",
    "dicom": bytes(128) + b"DICM" + bytes(range(256)),
    "json": b'{"status": "labelled"}\n' * 8,
    "csv": b"=cmd|' /C calc'!A0,1\r\n" * 8,
    "gzip": b"\x1f\x8b\x08" + bytes(range(256)),
    "heic": heic(),
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(range(256)),
    "jxl": b"\xff\x0a" + bytes(range(256)),
    "psd": b"8BPS\0\x01" + bytes(range(256)),
    "one_byte": b"\xff",
    "two_bytes": b"\xff\xd8",
    "start_only": b"\xff\xd8\xff",
    "start_and_end": b"\xff\xd8\xff\xd9",
    "png_start": PNG_START,
    "newline": b"\n",
    "utf16": "not an image".encode("utf-16") * 20,
}
