"""Warns if the card's input size distorts the images, which the labels may not reveal."""

from __future__ import annotations

from typing import Final

import numpy as np

from converters.inputs.image_set import ImageSet, evenly
from edge.image_files.read import read_image
from edge.preprocess import InputSpec

_IMAGES: Final = 8
# Exports are often a few pixels from square.
_MOST: Final = 1.1


def squashed(images: ImageSet, spec: InputSpec) -> list[str]:
    """A warning if the card's height and width have another aspect ratio than the images."""
    shapes = [read_image(path).shape[:2] for _, path in evenly(images, _IMAGES).files]
    height, width = (int(side) for side in np.median(shapes, axis=0))
    change = (spec.width / spec.height) / (width / height)
    if 1 / _MOST <= change <= _MOST:
        return []
    text = (
        f"the card's input of {spec.height}x{spec.width} (height x width) squashes images of "
        f"{height}x{width} by {1 - min(change, 1 / change):.0%}. Check input.height and "
        "input.width, unless the training squashed them too"
    )
    return [text]
