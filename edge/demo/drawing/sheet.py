"""A picture of drawn cells with their classes written below."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.demo.drawing.cells import CLASSES, draw_cell

TILE_PX: Final = 120
CAPTION_PX: Final = 26
ROWS: Final = 2
# The middle of a drawn image, where the cell is.
CROP: Final = slice(60, 303)


def contact_sheet(seed: int) -> bytes:
    """PNG bytes: a column per class, `ROWS` cells each, all classes named."""
    rng = np.random.default_rng(seed)
    columns = [_column(name, rng) for name in CLASSES]
    sheet = np.hstack(columns)
    return bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1])


def _column(cell_class: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    tiles = [
        cv2.resize(
            draw_cell(cell_class, rng)[CROP, CROP], (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA
        )
        for _ in range(ROWS)
    ]
    caption = np.full((CAPTION_PX, TILE_PX, 3), 255, np.uint8)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    width_px = cv2.getTextSize(cell_class, font, scale, 1)[0][0]
    place = ((TILE_PX - width_px) // 2, CAPTION_PX - 9)
    cv2.putText(caption, cell_class, place, font, scale, (40, 40, 40), 1, cv2.LINE_AA)
    return np.asarray(np.vstack([*tiles, caption]), np.uint8)
