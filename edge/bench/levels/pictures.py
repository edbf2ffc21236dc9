"""The images of a measurement: read and preprocessed once, for the levels that start later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.image_files.read import read_named_image
from edge.preprocess import InputSpec, preprocess

# Too many for all of them to stay in the processor's caches.
DISTINCT_IMAGES: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Image files, and the first of them as the network takes them.

    Attributes:
        pixels: uint8 (count, height, width, 3).
    """

    paths: tuple[Path, ...]
    pixels: NDArray[np.uint8]

    def path(self, number: int) -> Path:
        """The file of a request."""
        return self.paths[number % len(self.paths)]

    def batch(self, number: int, size: int) -> NDArray[np.uint8]:
        """The images of a request."""
        first = number * size % len(self.pixels)
        if first + size <= len(self.pixels):
            return self.pixels[first : first + size]
        return self.pixels[np.arange(first, first + size) % len(self.pixels)]


def read_pictures(paths: list[Path], spec: InputSpec) -> Pictures:
    """Decode every file once.

    Raises:
        ConfigError: a file cannot be used; it is named.
    """
    prepared = []
    for number, path in enumerate(paths):
        image = read_named_image(path)
        if number < DISTINCT_IMAGES:
            prepared.append(preprocess(image, spec))
    return Pictures(tuple(paths), np.stack(prepared))
