"""Normalises images for the source's own framework."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.preprocess import InputSpec


def normalise(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Normalise as the graph's first nodes do: uint8 (n, h, w, 3) to float32 (n, 3, h, w)."""
    scaled = images.astype(np.float32) / np.float32(255)
    normalised = (scaled - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), np.float32)
