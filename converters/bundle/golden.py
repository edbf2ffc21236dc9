"""Chooses the golden images of a bundle."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Two of each of eight classes; they take less than a tenth of a second at every start.
GOLDEN_COUNT: Final = 16


def choose_golden(
    fp32: NDArray[np.float32], other: NDArray[np.float32], count: int = GOLDEN_COUNT
) -> list[int]:
    """The images with the largest margins in both models, spread over the predicted classes.

    Such images keep their label despite other rounding, so a changed label means that something on
    this machine computes wrongly: the processor, a driver or a library.
    """
    margins = np.minimum(_margins(fp32), _margins(other))
    by_class: dict[int, list[int]] = {}
    for image in np.argsort(-margins, kind="stable"):
        if fp32[image].argmax() == other[image].argmax():
            by_class.setdefault(int(fp32[image].argmax()), []).append(int(image))
    chosen: list[int] = []
    while len(chosen) < count and any(by_class.values()):
        chosen.extend(images.pop(0) for images in by_class.values() if images)
    return chosen[:count]


def _margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    ordered = np.sort(logits, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2], np.float32)
