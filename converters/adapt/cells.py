"""The labelled cells of a laboratory: read, checked, and a part of them kept back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.adapt.choice import folds_of
from converters.adapt.head import Labels
from converters.inputs.image_set import ImageSet, load_images
from edge.errors import ConfigError
from edge.text.progress import OnProgress

# With 20 images of each class, cells of another instrument went from 37 to 92 % right.
WANTED_OF_CLASS: Final = 20
# Fewer cannot be fitted, chosen and judged on different images.
LEAST_OF_CLASS: Final = 5
# One image in four is kept back: it is in no fit.
KEPT_BACK_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """A laboratory's images and the indices of their classes, shape (images,).

    Attributes:
        kept_back: shape (images,), whether an image is only judged on.
    """

    images: ImageSet
    classes: tuple[str, ...]
    labels: Labels
    kept_back: NDArray[np.bool_]

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of the labels."""
        return [path for _, path in self.images.files]

    def counts(self) -> dict[str, int]:
        """Images by class."""
        found = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, found, strict=True)}

    def absent(self) -> list[str]:
        """The classes without images, which keep the parent's row."""
        return [name for name, count in self.counts().items() if not count]

    def kept_back_images(self) -> ImageSet:
        """The images that no head is fitted to."""
        pairs = zip(self.images.files, self.kept_back, strict=True)
        files = tuple(file for file, is_kept in pairs if is_kept)
        return ImageSet(f"{self.images.origin}, kept back", files, self.images.sha256)

    def warnings(self) -> list[str]:
        """Lines about classes of few images or none, and about skipped files."""
        counts = self.counts().items()
        few = [f"{name} ({count})" for name, count in counts if 0 < count < WANTED_OF_CLASS]
        found = [f"skipped in {self.images.origin}: {line}" for line in self.images.left_out]
        if few:
            found.append(
                f"fewer than {WANTED_OF_CLASS} images of {', '.join(few)}: label more before you "
                "rely on these classes"
            )
        if absent := self.absent():
            found.append(
                f"no images of {', '.join(absent)}: they keep the row of the parent, which never "
                "saw this laboratory. Check every cell with these labels"
            )
        return found


def load_cells(folder: Path, classes: tuple[str, ...], on_progress: OnProgress) -> LabelledCells:
    """Read a folder with a folder of images for each class.

    Raises:
        ConfigError: it has no class folders, a class of too few images, or a single class.
    """
    images = load_images(folder, classes, on_progress=on_progress)
    if not images.is_labelled:
        raise ConfigError(
            f"{folder} has no class folders; --adapt needs a folder of images for each class "
            f"({', '.join(classes)})."
        )
    counts = Counter(label for label, _ in images.files)
    few = [f"{name} ({n})" for name, n in sorted(counts.items(), key=str) if n < LEAST_OF_CLASS]
    if few:
        raise ConfigError(
            f"{folder} holds too few images of {', '.join(few)}; give {WANTED_OF_CLASS} or more "
            f"of each class, at least {LEAST_OF_CLASS}, or take the folder out: that class then "
            "keeps the row of the parent."
        )
    if len(counts) < 2:
        raise ConfigError(f"{folder} holds one class; give at least two.")
    labels = np.array([classes.index(str(label)) for label, _ in images.files], np.int64)
    kept_back = folds_of(labels, KEPT_BACK_SHARE, seed=1) == 0
    return LabelledCells(images, classes, labels, kept_back)
