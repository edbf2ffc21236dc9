"""Selects the labelled images for an evaluation, and lists what is left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from converters.inputs.class_names import near_miss
from converters.reference.data.class_folders import (
    LabelledFile,
    find_class_folders,
    without_contradictions,
)
from converters.reference.data.manifest import read_split
from edge.errors import ConfigError
from edge.text.counted import counted
from edge.text.progress import OnCount


@dataclass(frozen=True, slots=True)
class EvaluationImages:
    """Images of the bundle's classes.

    Attributes:
        origin: their folder.
        left_out: lines about images that are left out.
        missing: classes of the bundle without images.
    """

    origin: Path
    files: list[LabelledFile]
    left_out: list[str]
    missing: list[str]


def images_of_split(
    folder: Path, split: str, classes: tuple[str, ...], on_file: OnCount
) -> EvaluationImages:
    """One split of a folder with a manifest.

    Raises:
        ConfigError: as `read_split`, or no image of the bundle's classes.
    """
    every = read_split(folder, split, classes)
    known = [file for file in every if file.cell_class in classes]
    others = Counter(file.cell_class for file in every if file.cell_class not in classes)
    return _chosen(folder, known, others, classes, on_file, [])


def images_of_folders(folder: Path, classes: tuple[str, ...], on_file: OnCount) -> EvaluationImages:
    """A folder with one subfolder per class.

    Raises:
        ConfigError: as `find_class_folders`, or no image of the bundle's classes.
    """
    found = find_class_folders(folder, classes)
    others = Counter({name: len(images.images) for name, images in found.unknown.items()})
    also = list(found.left_out().lines())
    if found.loose:
        also.append(f"{counted(found.loose, 'image')} beside the class folders, without a class")
    return _chosen(found.root, found.files(), others, classes, on_file, also)


def _chosen(
    origin: Path,
    known: list[LabelledFile],
    others: Counter[str],
    classes: tuple[str, ...],
    on_file: OnCount,
    also_left_out: list[str],
) -> EvaluationImages:
    """The usable files, and lines about files of other classes and with contradictory labels."""
    files, contradictions = without_contradictions(known, on_file)
    unknown = [_of_no_class(name, count, classes) for name, count in sorted(others.items())]
    left_out = [*unknown, *(str(found) for found in contradictions), *also_left_out]
    if not files:
        found = f" Left out: {'; '.join(left_out)}." if left_out else ""
        raise ConfigError(
            f"{origin} holds no image that can be judged.{found} Give a folder with labelled .jpg "
            f"or .png images of the bundle's classes ({', '.join(classes)})."
        )
    present = {file.cell_class for file in files}
    return EvaluationImages(origin, files, left_out, [c for c in classes if c not in present])


def _of_no_class(name: str, count: int, classes: tuple[str, ...]) -> str:
    images, known = counted(count, "image"), ", ".join(classes)
    hint = near_miss(name, classes)
    return f"{name or 'no class'}: {images}; the bundle has no such class (it has {known}){hint}"
