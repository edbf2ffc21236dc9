"""The shared images as arrays for training and judging, and as folders for the converter."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from converters.reference.data.pbc import CLASSES, LabelledFile, read_manifest
from edge.image_files.read import read_image
from edge.preprocess import InputSpec, preprocess
from edge.text.progress import OnProgress

SIDES: Final = {"crop": 0.65, "resize": "area", "channels": "rgb"}
_IMAGENET: Final = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Preprocessed images, uint8 (n, height, width, 3), and the indices of their classes (n)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def card_input(side_px: int) -> dict[str, object]:
    """The card's `input` of a network that is trained here."""
    return {"height": side_px, "width": side_px, **SIDES, **_IMAGENET}


def first_of_each_class(files: Sequence[LabelledFile], count: int) -> list[LabelledFile]:
    """At most `count` files of each class, in their order."""
    kept: list[LabelledFile] = []
    for cell_class in CLASSES:
        kept += [file for file in files if file.cell_class == cell_class][:count]
    return kept


def load(files: Sequence[LabelledFile], spec: InputSpec, on_progress: OnProgress) -> Labelled:
    """Decode and preprocess images."""
    images = np.empty((len(files), spec.height, spec.width, 3), np.uint8)
    for number, file in enumerate(files):
        images[number] = preprocess(read_image(file.path), spec)
        on_progress("reading images", number + 1, len(files))
    return Labelled(images, np.array([CLASSES.index(file.cell_class) for file in files]))


def copy_folders(data: Path, out: Path, *, calibration: int, validation_per_class: int) -> None:
    """Write `calibration/` and `validation/CLASS/` with the first images of the data set."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "calibration").mkdir(parents=True)
    for path in sorted((data / "unlabelled").glob("*.jpg"))[:calibration]:
        shutil.copy(path, out / "calibration")
    for file in first_of_each_class(read_manifest(data, "val"), validation_per_class):
        folder = out / "validation" / file.cell_class
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.path, folder)
