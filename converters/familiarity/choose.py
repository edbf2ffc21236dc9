"""Chooses the images from which a laboratory is learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from converters.familiarity.fit import LEAST_IMAGES
from converters.familiarity.look import Seen
from converters.inputs.image_set import ImageSet, evenly

# More images change the limit little.
MOST_IMAGES: Final = 1000
# Of a class with fewer images in the laboratory, most new ones would not pass: its direction is
# missing in the space of the features. So many labelled images of it are added, where there are.
LEAST_OF_CLASS: Final = 5
_ADDED_OF_CLASS: Final = 10


def images_of_laboratory(sets: Sequence[ImageSet]) -> ImageSet:
    """The first set, or all of them together if it is too small to learn a laboratory from."""
    first = sets[0]
    if len(first.files) >= 3 * LEAST_IMAGES or len(sets) == 1:
        return evenly(first, MOST_IMAGES)
    files = tuple(dict.fromkeys(file for one in sets for file in one.files))
    origin = " and ".join(dict.fromkeys(one.origin for one in sets))
    return evenly(ImageSet(origin, files, ""), MOST_IMAGES)


def few_of(home: Seen, class_count: int) -> list[int]:
    """The classes that the model gives to too few of the images."""
    counts = np.bincount(home.predicted, minlength=class_count)
    return [index for index in range(class_count) if counts[index] < LEAST_OF_CLASS]


def rare_ones(
    labelled: Sequence[tuple[int, Path]], classes: Sequence[int], known: set[Path]
) -> list[Path]:
    """Labelled images of some classes, spread evenly over those that there are."""
    found: list[Path] = []
    for one in classes:
        own = [path for index, path in labelled if index == one and path not in known]
        picked = np.linspace(0, len(own) - 1, min(_ADDED_OF_CLASS, len(own))).round().astype(int)
        found += [own[i] for i in picked]
    return found
