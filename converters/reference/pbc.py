"""Readers of the peripheral blood cell images of Acevedo et al. 2020.

Data in Brief 30:105474, CC BY 4.0: 17,092 images of single cells in eight classes. A class is
never read from a file name: it comes from the manifest or from the folder.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError

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

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """One image with its class. `kind` is native, crop352 or denoised224 where it is known."""

    path: Path
    cell_class: str
    kind: str


def read_manifest(folder: Path, split: str) -> list[LabelledFile]:
    """Labelled images of one split of a folder with a `manifest.csv` (file, split, class, kind).

    Raises:
        ConfigError: no manifest, no such split, an unknown class or a missing image.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise ConfigError(f"{folder} has no manifest.csv; give the folder that holds one.")
    with manifest.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split]
    if not rows:
        raise ConfigError(
            f"{manifest} lists no images of split {split!r}; give train, val or test."
        )
    files = [LabelledFile(folder / row["file"], row["class"], row["kind"]) for row in rows]
    for file in files:
        if file.cell_class not in CLASSES:
            raise ConfigError(f"{manifest} has the class {file.cell_class!r}; known: {CLASSES}.")
        if not file.path.is_file():
            raise ConfigError(
                f"{file.path} is in {manifest} but not on disk; copy the images anew."
            )
    return files


def read_original(folder: Path) -> list[LabelledFile]:
    """All images of the original data set: one folder per class.

    Raises:
        ConfigError: a class folder is missing or does not hold the published number of images;
            the message lists every class that differs.
    """
    files = [
        LabelledFile(path, cell_class, "native")
        for cell_class in CLASSES
        for path in sorted((folder / cell_class).glob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    found = {c: sum(1 for file in files if file.cell_class == c) for c in CLASSES}
    wrong = [
        f"{c}: {found[c]} found, {expected} published"
        for c, expected in ORIGINAL_COUNTS.items()
        if found[c] != expected
    ]
    if wrong:
        total = sum(ORIGINAL_COUNTS.values())
        raise ConfigError(
            f"{folder} is not the whole data set of {total} images ({'; '.join(wrong)}). "
            "Unpack it again with one folder per class."
        )
    return files
