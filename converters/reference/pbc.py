"""Readers of the peripheral blood cell images of Acevedo et al. 2020.

Data in Brief 30:105474, CC BY 4.0: 17,092 images of single cells in eight classes. A class is
never read from a file name: it comes from the manifest or from the folder.
"""

from __future__ import annotations

import csv
import logging
import os
import sys
from pathlib import Path

from converters.reference.class_folders import (
    LabelledFile,
    find_class_folders,
    without_contradictions,
)
from edge.errors import ConfigError
from edge.progress import Progress

__all__ = [
    "CLASSES",
    "ORIGINAL_COUNTS",
    "LabelledFile",
    "read_manifest",
    "read_original",
    "read_split",
]

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

_COLUMNS = ("file", "split", "class")


def read_manifest(folder: Path, split: str) -> list[LabelledFile]:
    """Images of the data set's classes of one split of a folder with a `manifest.csv`.

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


def read_split(folder: Path, split: str, classes: tuple[str, ...]) -> list[LabelledFile]:
    """Labelled images of one split of a folder with a `manifest.csv`.

    The manifest has the columns file, split and class, and perhaps kind and capture.

    Args:
        classes: known names of classes, which the manifest may write in any case of letters; other
            classes are given as they stand there.

    Raises:
        ConfigError: no manifest, no such split, an image that is missing or stands there twice.
    """
    manifest = folder / "manifest.csv"
    every = _rows(manifest)
    rows = [row for row in every if row["split"] == split]
    if not rows:
        raise ConfigError(
            f"{manifest} lists no images of split {split!r}; give train, val or test."
        )
    # An image in two splits would be judged by a network that was trained on it.
    _require_each_once(manifest, every)
    names = {name.casefold(): name for name in classes}
    files = [_labelled(folder, row, names) for row in rows]
    for file in files:
        if not file.path.is_file():
            raise ConfigError(
                f"{file.path} is in {manifest} but not on disk; copy the images anew."
            )
    return files


def read_original(folder: Path) -> list[LabelledFile]:
    """The images of the original data set, but for those with two labels, which are reported.

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
        logger.warning("%s", contradiction)
    return kept


def _rows(manifest: Path) -> list[dict[str, str]]:
    if not manifest.is_file():
        raise ConfigError(f"{manifest.parent} has no manifest.csv; give the folder that holds one.")
    try:
        # A spreadsheet program that saved the table puts a byte order mark before the first name.
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        summary = " ".join(str(error).split())
        raise ConfigError(f"{manifest} cannot be read ({summary}); copy it anew.") from error
    if missing:
        raise ConfigError(
            f"{manifest} has no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}."
        )
    return rows


def _require_each_once(manifest: Path, rows: list[dict[str, str]]) -> None:
    """Refuse a file that is listed twice, and a picture in two splits where hashes are listed."""
    by_name: dict[str, dict[str, str]] = {}
    by_hash: dict[str, dict[str, str]] = {}
    for row in rows:
        first = by_name.setdefault(os.path.normpath(row["file"]), row)
        if first is not row:
            raise ConfigError(
                f"{manifest} lists {row['file']} twice ({_placed(first)} and {_placed(row)}); keep "
                "the row that is right."
            )
        sha256 = (row.get("sha256") or "").strip().casefold()
        same = by_hash.setdefault(sha256, row) if sha256 else row
        if same["split"] != row["split"]:
            raise ConfigError(
                f"{manifest} lists the same picture as {same['file']} ({_placed(same)}) and "
                f"{row['file']} ({_placed(row)}); keep it in one split."
            )


def _placed(row: dict[str, str]) -> str:
    return f"{row['split']}, {row['class']}"


def _labelled(folder: Path, row: dict[str, str], names: dict[str, str]) -> LabelledFile:
    given = row["class"].strip()
    cell_class = names.get(given.casefold(), given)
    return LabelledFile(
        folder / row["file"], cell_class, row.get("kind") or "", row.get("capture") or ""
    )


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
