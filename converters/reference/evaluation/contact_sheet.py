"""Draws pages with the wrongly labelled images, for visual inspection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.reference.evaluation.evaluate import REJECTED, Judgement
from converters.reference.evaluation.fields import named
from edge.errors import ImageError, TransientError
from edge.image_files.read import read_image

Pixels = NDArray[np.uint8]

# Large enough to judge a cell of 360 px; twenty of them fit on a screen.
SIDE_PX: Final = 240
COLUMNS: Final = 5
ROWS: Final = 4
_GAP_PX: Final = 8
_LINE_PX: Final = 15
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE: Final = 0.4
_WHITE, _BLACK, _RED = (255, 255, 255), (0, 0, 0), (190, 0, 0)


def wrong_images(judgement: Judgement) -> list[int]:
    """Positions of images that any graph labels wrongly, by class, most confident first."""
    graphs = list(judgement.answers)
    wrong = np.stack([~judgement.right(graph) for graph in graphs])
    sure = np.stack([judgement.answers[graph].confidence for graph in graphs])
    surest = np.where(wrong, sure, 0).max(axis=0)
    found = np.flatnonzero(wrong.any(axis=0))
    return sorted(found.tolist(), key=lambda i: (judgement.labels[i], -surest[i]))


def contact_sheets(judgement: Judgement, positions: list[int], origin: Path) -> Iterator[bytes]:
    """PNG pages; each image with its class, each graph's label, and its file name."""
    page = COLUMNS * ROWS
    for first in range(0, len(positions), page):
        tiles = [_tile(judgement, i, origin) for i in positions[first : first + page]]
        yield _png(_grid(tiles))


def _grid(tiles: list[Pixels]) -> Pixels:
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // COLUMNS)
    page = _blank(rows * (height + _GAP_PX) + _GAP_PX, COLUMNS * (width + _GAP_PX) + _GAP_PX)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        top, left = (n * (s + _GAP_PX) + _GAP_PX for n, s in ((row, height), (column, width)))
        page[top : top + height, left : left + width] = tile
    return page


def _tile(judgement: Judgement, position: int, origin: Path) -> Pixels:
    file = judgement.files[position]
    lines = [(f"true: {file.cell_class}", _BLACK)]
    lines += [_answer(judgement, graph, position) for graph in judgement.answers]
    lines.append((named(file.path, origin)[-36:], _BLACK))
    tile = _blank(SIDE_PX + _LINE_PX * len(lines) + _LINE_PX // 2, SIDE_PX)
    tile[:SIDE_PX] = _picture(file.path)
    for number, (text, colour) in enumerate(lines, start=1):
        # OpenCV's fonts have only ASCII characters.
        plain = text.encode("ascii", "replace").decode()
        place = (2, SIDE_PX + number * _LINE_PX)
        cv2.putText(tile, plain, place, _FONT, _FONT_SCALE, colour, 1, cv2.LINE_AA)
    return tile


def _answer(judgement: Judgement, graph: str, position: int) -> tuple[str, tuple[int, int, int]]:
    answers = judgement.answers[graph]
    predicted = int(answers.predicted[position])
    if predicted == REJECTED:
        return f"{graph}: rejected", _RED
    text = f"{graph}: {judgement.classes[predicted]} {answers.confidence[position]:.2f}"
    return text, _BLACK if predicted == judgement.labels[position] else _RED


def _picture(path: Path) -> Pixels:
    """The image, scaled and centred in a square of `SIDE_PX`; grey if it cannot be read."""
    square = _blank(SIDE_PX, SIDE_PX)
    try:
        pixels = read_image(path)
    except (ImageError, TransientError):
        square[:] = 128
        return square
    height, width = pixels.shape[:2]
    scale = SIDE_PX / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    top, left = (SIDE_PX - size[1]) // 2, (SIDE_PX - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _blank(height_px: int, width_px: int) -> Pixels:
    return np.full((height_px, width_px, 3), _WHITE, np.uint8)


def _png(pixels: Pixels) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())
