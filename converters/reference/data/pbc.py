"""Reads the peripheral blood cell images of Acevedo et al. 2020.

Data in Brief 30:105474, CC BY 4.0: 17,092 images of single cells in eight classes. The class comes
from the manifest or from the folder, never from a file name.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from converters.reference.data.class_folders import (
    LabelledFile,
    find_class_folders,
    without_contradictions,
)
from converters.reference.data.manifest import read_split
from edge.command.progress import Progress
from edge.errors import ConfigError
from edge.text.printable import printable

__all__ = ["CLASSES", "ORIGINAL_COUNTS", "LabelledFile", "read_manifest", "read_original"]

logger = logging.getLogger("reference")

CLASSES = (
    "neutrophil",
    "eosinophil",
    "basophil",
    "lymphocyte",
    "monocyte",
    "ig",
    "erythroblast",
    "platelet",
)

# Table 2 of the publication: images per class, 17,092 in all.
ORIGINAL_COUNTS = {
    "neutrophil": 3329,
    "eosinophil": 3117,
    "basophil": 1218,
    "lymphocyte": 1214,
    "monocyte": 1420,
    "ig": 2895,
    "erythroblast": 1551,
    "platelet": 2348,
}


def read_manifest(folder: Path, split: str) -> list[LabelledFile]:
    """The images of one split, from a folder with a `manifest.csv`.

    Raises:
        ConfigError: as `read_split`, or an unknown class.
    """
    files = read_split(folder, split, CLASSES)
    unknown = sorted({file.cell_class for file in files} - set(CLASSES))
    if unknown:
        raise ConfigError(
            f"{folder / 'manifest.csv'} has the class {unknown[0]!r}; known: {', '.join(CLASSES)}."
        )
    return files


def read_original(folder: Path) -> list[LabelledFile]:
    """The images of the original data set; those with two labels are dropped and logged.

    Raises:
        ConfigError: a class folder is missing or does not hold the published number of images;
            the message lists every class that differs.
    """
    found = find_class_folders(folder, CLASSES)
    files = found.files("native")
    _check_counts(found.root, files)
    with Progress("files compared", sys.stderr) as progress:
        kept, contradictions = without_contradictions(files, progress.update)
    for contradiction in contradictions:
        logger.warning("%s", printable(str(contradiction)))
    return kept


def _check_counts(root: Path, files: list[LabelledFile]) -> None:
    counts = dict.fromkeys(CLASSES, 0)
    for file in files:
        counts[file.cell_class] += 1
    wrong = [
        f"{name}: {counts[name]} found, {expected} published"
        for name, expected in ORIGINAL_COUNTS.items()
        if counts[name] != expected
    ]
    if wrong:
        total = sum(ORIGINAL_COUNTS.values())
        raise ConfigError(
            f"{root} is not the whole data set of {total} images ({'; '.join(wrong)}). "
            "Unpack it again with one folder per class."
        )
