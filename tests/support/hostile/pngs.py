"""Hostile PNGs, and images of colour models that no network was trained on."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import simplejpeg

from edge.errors import RejectReason
from tests.support.hostile import odd_images as odd
from tests.support.hostile.expected import LABELLED, REJECTED, Expected, flipped, only
from tests.support.hostile.odd_images import cell_pixels, chunk, jpeg, png


def png_flip(chance: random.Random) -> Iterator[tuple[bytes, Expected]]:
    whole = png(cell_pixels(7, side_px=40))
    for at in [*range(60), *range(len(whole) - 30, len(whole))]:
        yield flipped(whole, at, chance), REJECTED
    for _ in range(300):
        yield flipped(whole, chance.randrange(len(whole)), chance), REJECTED


def colour_models(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    refused = only(RejectReason.UNSUPPORTED_COLOUR)
    for seed in range(5):
        pixels = cell_pixels(seed)
        alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
        glassy = alpha.copy()
        glassy[0, 0, 3] = 254
        whole = jpeg(pixels)
        frame = next(s for m, s, _ in odd.segments(whole) if m == 0xC0)
        yield simplejpeg.encode_jpeg(pixels[..., :1].copy(), colorspace="GRAY"), refused
        yield simplejpeg.encode_jpeg(alpha, colorspace="CMYK"), refused
        for precision in (2, 12, 16):
            yield whole[: frame + 4] + bytes([precision]) + whole[frame + 5 :], refused
        yield odd.encoded(".png", pixels[..., 0]), refused
        yield odd.encoded(".png", pixels.astype(np.uint16) * 257), refused
        yield png(pixels[..., :2].copy(), colour=4), refused
        yield png(alpha, colour=6), LABELLED
        yield png(glassy, colour=6), refused
        yield png(pixels, chunk(b"tRNS", struct.pack(">3H", *pixels[3, 3]))), refused
        palette = chunk(b"PLTE", bytes(range(256)) * 3)
        yield png(pixels[..., :1].copy(), palette, colour=3), LABELLED
        clear = chunk(b"tRNS", bytes([255]) * 100 + bytes(156))
        yield png(pixels[..., :1].copy(), palette + clear, colour=3), refused


def png_kinds(_: random.Random) -> Iterator[tuple[bytes, Expected]]:
    first, second = cell_pixels(43), cell_pixels(44)
    rows = odd.png_rows(first)
    corrupt = only(RejectReason.CORRUPT)
    for hides_first in (False, True):
        moving = odd.animation(first, second, hides_first=hides_first)
        yield moving, only(RejectReason.UNSUPPORTED_FORMAT)
    yield odd.interlaced(64), LABELLED
    yield odd.interlaced(63), LABELLED
    for part in range(20):
        yield png(first, data=zlib.compress(rows[: len(rows) * part // 20])), corrupt
        yield png(first, data=zlib.compress(rows)[: len(rows) * part // 400]), corrupt
    yield png(first, data=zlib.compress(rows)[:-4] + b"abcd"), corrupt
    yield png(first, data=zlib.compress(b"\x09" + rows[1:])), corrupt
    yield png(first, odd.png_start(500, 500)[len(odd.PNG_START) :]), corrupt
    yield png(first, chunk(b"ABCD", b"unknown and needed")), corrupt
    yield png(first, chunk(b"abCd", b"unknown and not needed")), LABELLED
    yield png(first, chunk(b"tEXt", b"Software\0any")), LABELLED
    yield png(first, chunk(b"tEXt", b"Software\0any", 1)), corrupt
    yield png(first, colour=3), corrupt
    yield odd.png_start(96, 96) + odd.PNG_END, corrupt
    yield odd.PNG_START + odd.PNG_END, corrupt
