from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from converters.inputs.image_set import load_images


def test_reading_a_folder_counts_its_images(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, 40, 3), number, np.uint8))
    told: list[tuple[str, int, int]] = []
    load_images(tmp_path, on_progress=lambda *state: told.append(state))
    assert told == [(f"reading {tmp_path.name}", done, 3) for done in (1, 2, 3)]
