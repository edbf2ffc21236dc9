"""Thousands of hostile image files, family by family, the same at every run."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg

from edge.errors import RejectReason
from edge.image_files.jpeg import HOLE
from tests.support.hostile import odd_images as odd
from tests.support.hostile.expected import (
    EITHER,
    LABELLED,
    REJECTED,
    UNFINISHED,
    Expected,
    flipped,
    only,
)
from tests.support.hostile.odd_images import cell_pixels, chunk, jpeg, png
from tests.support.hostile.pngs import colour_models, png_flip, png_kinds

KINDS: Final = ("baseline", "optimised", "progressive", "restart", "full")


@dataclass(frozen=True, slots=True)
class Case:
    """One file and the outcomes that are right for it."""

    family: str
    content: bytes
    expected: Expected


Family = Callable[[random.Random], Iterator[tuple[bytes, Expected]]]


def all_cases(*, without: str = "") -> Iterator[Case]:
    """Every case of every family but the one left out; equal in each run."""
    for name, family in FAMILIES.items():
        if name == without:
            continue
        for content, expected in family(random.Random(name)):  # noqa: S311 - repeatable
            yield Case(name, content, expected)


def _wholes(seed: int = 0) -> list[bytes]:
    files = [jpeg(cell_pixels(seed), kind) for kind in KINDS]
    return [*files, png(cell_pixels(seed))]


def truncated(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    # A file of one or three bytes may be anything.
    early = UNFINISHED | {RejectReason.UNSUPPORTED_FORMAT}
    for seed in range(2):
        for whole in _wholes(seed):
            for percent in range(100):
                cut = whole[: len(whole) * percent // 100]
                yield cut, early if len(cut) < 8 else UNFINISHED


def zero_tail(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for whole in _wholes(2):
        for percent in range(100):
            cut = whole[: len(whole) * percent // 100]
            tail = cut.ljust(len(whole), b"\0")
            yield tail, UNFINISHED


def zero_tail_with_end(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    """Preallocated, and the end was written first: of 4 kB, or of a few bytes."""
    for whole in _wholes(3):
        for kept in (2, 100, 4096):
            for percent in range(0, 100, 4):
                start = len(whole) * percent // 100
                missing = len(whole) - kept - start
                if missing > 0:
                    # Of a few bytes the strict decode alone must tell.
                    expected = REJECTED if missing >= len(HOLE) else EITHER
                    yield whole[:start] + bytes(missing) + whole[-kept:], expected


def hole(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for kind in KINDS:
        whole = jpeg(cell_pixels(4), kind)
        first = odd.data_start(whole)
        for length in (16, 63, 64, 200, 512, 1024):
            for _ in range(12):
                at = chance.randrange(first, len(whole) - length - 2)
                yield whole[:at] + bytes(length) + whole[at + length :], REJECTED


def header_flip(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for kind in ("baseline", "progressive"):
        whole = jpeg(cell_pixels(5), kind)
        for at in range(odd.data_start(whole)):
            yield flipped(whole, at, chance), EITHER


def data_flip(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for kind in KINDS:
        whole = jpeg(cell_pixels(6), kind)
        for _ in range(120):
            at = chance.randrange(odd.data_start(whole), len(whole))
            yield flipped(whole, at, chance), EITHER


def marker_cut(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for kind in ("baseline", "progressive", "restart"):
        whole = jpeg(cell_pixels(8), kind)
        for marker, start, end in odd.segments(whole):
            # The JFIF header and the restart interval of none are no loss.
            is_needed = marker in (0xC0, 0xC2, 0xDA)
            yield whole[:start] + whole[end:], REJECTED if is_needed else EITHER
            yield whole[:end] + whole[start:], EITHER
            for change in (-3, -2, -1, 1, 2, 3, 255, 60_000):
                (length,) = struct.unpack_from(">H", whole, start + 2)
                wrong = struct.pack(">H", (length + change) % 65536)
                yield whole[: start + 2] + wrong + whole[start + 4 :], REJECTED
            for length in (0, 1):
                wrong = struct.pack(">H", length)
                yield whole[: start + 2] + wrong + whole[start + 4 :], REJECTED


def missing_scans(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for seed in range(9, 14):
        whole = jpeg(cell_pixels(seed), "progressive")
        at = whole.find(b"\xff\xda")
        while (at := whole.find(b"\xff\xda", at + 2)) > 0:
            yield whole[:at] + b"\xff\xd9", UNFINISHED
            tables = whole.rfind(b"\xff\xc4", 0, at)
            yield whole[:tables] + b"\xff\xd9", UNFINISHED
    for seed in range(5):
        # The brightness of an image whose two colour scans have not come.
        grey = simplejpeg.encode_jpeg(cell_pixels(seed)[..., :1].copy(), colorspace="GRAY")
        frame = next(s for s in odd.segments(grey) if s[0] == 0xC0)
        body = grey[frame[1] + 4 : frame[2] - 4] + b"\3" + bytes((1, 17, 0, 2, 17, 0, 3, 17, 0))
        three = b"\xff\xc0" + struct.pack(">H", len(body) + 2) + body
        yield grey[: frame[1]] + three + grey[frame[2] :], UNFINISHED


def spliced(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    """The beginning of one image and the end of another, as when one overwrites the other."""
    for kind in KINDS:
        first, second = jpeg(cell_pixels(20), kind), jpeg(cell_pixels(21), kind)
        start, stop = odd.data_start(first), min(len(first), len(second)) - 2
        for _ in range(60):
            at = chance.randrange(start, stop)
            yield first[:at] + second[at:], EITHER
        yield first[: len(first) // 2] + second, REJECTED


def trailing(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    """A second image, a vendor's bytes or a longer predecessor behind the end."""
    for seed in range(6):
        for whole in _wholes(30 + seed):
            for more in (
                b"\n",
                bytes(4096),
                chance.randbytes(999),
                whole,
                whole[: len(whole) // 2],
            ):
                yield whole + more, LABELLED


def codings(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for kind in ("baseline", "progressive"):
        whole = jpeg(cell_pixels(40), kind)
        frame = next(s for m, s, _ in odd.segments(whole) if m in (0xC0, 0xC2))
        for coding in (3, 5, 6, 7, 9, 10, 11, 13, 14, 15):
            changed = whole[: frame + 1] + bytes([0xC0 + coding]) + whole[frame + 2 :]
            yield changed, only(RejectReason.UNSUPPORTED_FORMAT)


def sizes(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    small, many = only(RejectReason.TOO_SMALL), only(RejectReason.TOO_MANY_PIXELS)
    for kind in KINDS:
        whole = jpeg(cell_pixels(41), kind)
        for side in (10_000, 30_000, 65_500, 65_535):
            yield odd.with_size(whole, side, side), many
        for height, width in ((1, 65_535), (65_535, 1), (0, 0), (0, 96), (31, 31)):
            yield odd.with_size(whole, height, width), small
        for height, width in ((97, 96), (88, 96), (300, 300), (4000, 4000), (33, 65_535)):
            yield odd.with_size(whole, height, width), EITHER
    for height, width in ((1, 1), (1, 60_000), (60_000, 1), (31, 400)):
        pixels = np.full((height, width, 3), 99, np.uint8)
        yield jpeg(pixels), small
        yield png(pixels), small
    for side in (100_000, 2**31 - 1, 2**32 - 1, 5000):
        data = chunk(b"IDAT", zlib.compress(bytes(1000)))
        yield odd.png_start(side, side) + data + odd.PNG_END, many
    yield odd.png_start(0, 0) + chunk(b"IDAT", b"") + odd.PNG_END, small


def orientations(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for kind in KINDS:
        for orientation in range(10):
            yield odd.with_orientation(jpeg(cell_pixels(42), kind), orientation), LABELLED


def bombs(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    pixels = cell_pixels(45)
    zeros = zlib.compress(bytes(10**9), 9)
    yield png(pixels, data=zeros), only(RejectReason.CORRUPT)
    yield png(pixels, chunk(b"iCCP", b"a\0\0" + zeros)), EITHER
    yield png(pixels, chunk(b"zTXt", b"a\0\0" + zeros)), EITHER
    yield png(pixels, chunk(b"iTXt", b"a\0\1\0\0\0" + zeros)), EITHER
    yield png(pixels, chunk(b"tEXt", b"") * 100_000), only(RejectReason.CORRUPT)
    whole = jpeg(pixels)
    yield whole[:2] + b"\xff\xfe\0\2" * 4_000_000 + whole[2:], only(RejectReason.CORRUPT)
    yield whole[:2] + b"\xff" * 19_000_000 + whole[2:], EITHER
    passes = jpeg(np.full((3968, 3968, 3), 200, np.uint8), "progressive")
    last = passes.rfind(b"\xff\xc4")
    yield passes[:last] + passes[last:-2] * 1000 + b"\xff\xd9", only(RejectReason.CORRUPT)
    yield passes, LABELLED
    yield jpeg(np.full((3968, 3968, 3), 200, np.uint8)), LABELLED
    yield png(np.full((3968, 3968, 3), 200, np.uint8)), LABELLED
    alpha = np.full((3968, 3968, 4), 255, np.uint8)
    yield png(alpha, colour=6), LABELLED
    yield bytes(20_000_000), only(RejectReason.TRUNCATED)
    yield bytes(20_000_001), only(RejectReason.TOO_LARGE)


def foreign(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    pixels = cell_pixels(46)
    for content in odd.FOREIGN.values():
        yield content, REJECTED
        yield content + jpeg(pixels), REJECTED
    for suffix in (".gif", ".bmp", ".tiff", ".webp", ".jp2", ".ppm"):
        yield odd.encoded(suffix, pixels), only(RejectReason.UNSUPPORTED_FORMAT)
    yield jpeg(pixels) + odd.FOREIGN["zip"], LABELLED
    yield jpeg(pixels) + odd.FOREIGN["html"], LABELLED


def noise(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    for start in (b"", b"\xff\xd8\xff\xe0", odd.PNG_START, b"\xff\xd8\xff\xda"):
        for _ in range(100):
            yield start + chance.randbytes(chance.randrange(1, 9000)), REJECTED


FAMILIES: Final[dict[str, Family]] = {
    family.__name__: family
    for family in (
        *(truncated, zero_tail, zero_tail_with_end, hole, header_flip, data_flip, png_flip),
        *(marker_cut, missing_scans, spliced, trailing, colour_models, codings, sizes),
        *(orientations, png_kinds, bombs, foreign, noise),
    )
}
