from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.demo.cli import main
from edge.demo.drawing.cells import CLASSES
from edge.demo.drawing.sheet import CAPTION_PX, ROWS, TILE_PX


def test_sheet_is_a_picture_with_a_column_per_class(tmp_path: Path) -> None:
    target = tmp_path / "sheet.png"
    assert main(["--sheet", str(target)]) == 0
    picture = cv2.imread(str(target))
    assert picture is not None
    assert picture.shape == (ROWS * TILE_PX + CAPTION_PX, len(CLASSES) * TILE_PX, 3)
    captions = picture[-CAPTION_PX:]
    for column in np.split(captions, len(CLASSES), axis=1):
        assert column.min() < 100
