"""Which labelled images an evaluation takes, and what it leaves out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from converters.html_numbers import counted
from converters.reference.class_folders import (
    LabelledFile,
    find_class_folders,
    images_in,
    without_contradictions,
)
from converters.reference.pbc import read_manifest
from edge.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EvaluationImages:
    """Images of the bundle's classes; `left_out` says in lines what else `origin` holds."""

    origin: Path
    files: list[LabelledFile]
    left_out: list[str]


def images_of_split(folder: Path, split: str, classes: tuple[str, ...]) -> EvaluationImages:
    """One split of a folder with a manifest.

    Raises:
        ConfigError: as `read_manifest`, or no image of the bundle's classes.
    """
    every = read_manifest(folder, split)
    files = [file for file in every if file.cell_class in classes]
    others = Counter(file.cell_class for file in every if file.cell_class not in classes)
    left_out = [_of_no_class(name, count, classes) for name, count in sorted(others.items())]
    return _some(EvaluationImages(folder, files, left_out), classes)


def images_of_folders(
    folder: Path, classes: tuple[str, ...], on_file: Callable[[int, int], None]
) -> EvaluationImages:
    """A folder of class folders, whoever made them.

    Raises:
        ConfigError: as `find_class_folders`, or no image of the bundle's classes.
    """
    found = find_class_folders(folder, classes)
    files, contradictions = without_contradictions(found.files(), on_file)
    unknown = [_of_no_class(p.name, len(images_in(p)), classes) for p in found.unknown]
    left_out = [*unknown, *(str(contradiction) for contradiction in contradictions)]
    return _some(EvaluationImages(found.root, files, left_out), classes)


def _of_no_class(name: str, count: int, classes: tuple[str, ...]) -> str:
    images = counted(count, "image")
    return f"{name}: {images} left out, the bundle has no such class ({', '.join(classes)})"


def _some(images: EvaluationImages, classes: tuple[str, ...]) -> EvaluationImages:
    if not images.files:
        raise ConfigError(
            f"{images.origin} holds no .jpg or .png image of the bundle's classes "
            f"({', '.join(classes)}). Give a folder with labelled images of these."
        )
    return images
