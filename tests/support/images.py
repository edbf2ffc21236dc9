"""Images of one colour, the classes of the small bundle."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


class Jpeg(Protocol):
    """The fixture `colour_jpeg`: JPEG bytes of one of the three colours."""

    def __call__(self, name: str = "red", *, side_px: int = 64, seed: int = 0) -> bytes: ...


def colour_image(name: str, *, side_px: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-20, 20, (side_px, side_px, 3))
    return np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)


def colour_jpeg(name: str = "red", *, side_px: int = 64, seed: int = 0) -> bytes:
    return bytes(simplejpeg.encode_jpeg(colour_image(name, side_px=side_px, seed=seed), 90))
