"""Reads labelled images from a `manifest.csv`, also as spreadsheet programs write it."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Final

from converters.inputs.class_names import caseless
from converters.reference.data.class_folders import LabelledFile
from edge.errors import ConfigError
from edge.image_folders.walk import readable

Row = dict[str, str]

_COLUMNS: Final = ("file", "split", "class")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def read_split(folder: Path, split: str, classes: tuple[str, ...]) -> list[LabelledFile]:
    """The labelled images of one split, from a folder with a `manifest.csv`.

    The manifest has the columns file, split and class, and optionally kind, capture and sha256,
    separated by commas, semicolons or tabs.

    Args:
        classes: known class names, which the manifest may write in any case; other classes are
            returned as written.

    Raises:
        ConfigError: no manifest, no such split, or an image is missing or listed twice.
    """
    manifest = folder / "manifest.csv"
    every = _rows(manifest)
    rows = [row for row in every if row["split"].casefold() == split.casefold()]
    if not rows:
        raise ConfigError(
            f"{manifest} lists no images of split {split!r}; give train, val or test."
        )
    # An image in two splits would be used to evaluate a network that was trained on it.
    _require_each_once(manifest, every)
    return [_labelled(manifest, row, classes) for row in rows]


def _rows(manifest: Path) -> list[Row]:
    """The rows that name a file; column names in lower case, cells without outer blanks."""
    header, *lines = _table(manifest)
    names = [name.strip().casefold() for name in header]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise ConfigError(
            f"{manifest} has no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}."
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"{manifest} has the column {twice[0]} twice; keep the one that is right."
        )
    width = len(names)
    cells = ([cell.strip() for cell in line[:width]] for line in lines)
    rows = [dict(zip(names, [*row, *[""] * (width - len(row))], strict=True)) for row in cells]
    return [row for row in rows if row["file"]]


def _table(manifest: Path) -> list[list[str]]:
    with readable(manifest):
        if not manifest.is_file():
            raise ConfigError(
                f"{manifest.parent} has no manifest.csv; give the folder that holds one."
            )
    try:
        # utf-8-sig: spreadsheet programs write a byte order mark.
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            header = stream.readline()
            delimiter = max(",;\t", key=header.count)
            return list(csv.reader([header, *stream], delimiter=delimiter)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        summary = " ".join(str(error).split())
        raise ConfigError(f"{manifest} cannot be read ({summary}); copy it again.") from error


def _require_each_once(manifest: Path, rows: list[Row]) -> None:
    """Refuse a file that is listed twice, and an image (by its hash) in two splits."""
    by_path: dict[str, Row] = {}
    by_hash: dict[str, Row] = {}
    for row in rows:
        # Normalised, since the same file may be listed by an absolute and a relative path.
        path = os.path.normpath(_path(manifest, row).absolute())
        first = by_path.setdefault(path, row)
        if first is not row:
            raise ConfigError(
                f"{manifest} lists {row['file']} twice ({_placed(first)} and {_placed(row)}); keep "
                "the row that is right."
            )
        sha256 = row.get("sha256", "").casefold()
        same = by_hash.setdefault(sha256, row) if _SHA256.fullmatch(sha256) else row
        if same["split"].casefold() != row["split"].casefold():
            raise ConfigError(
                f"{manifest} lists the same image as {same['file']} ({_placed(same)}) and "
                f"{row['file']} ({_placed(row)}); keep it in one split."
            )


def _placed(row: Row) -> str:
    return f"{row['split']}, {row['class']}"


def _labelled(manifest: Path, row: Row, classes: tuple[str, ...]) -> LabelledFile:
    path = _path(manifest, row)
    with readable(path):
        if not path.is_file():
            raise ConfigError(f"{path} is in {manifest} but not on disk; copy the images again.")
    cell_class = _class_named(row["class"], classes)
    return LabelledFile(path, cell_class, row.get("kind", ""), row.get("capture", ""))


def _path(manifest: Path, row: Row) -> Path:
    """The file of a row; a manifest that was written on Windows has backslashes."""
    return manifest.parent / row["file"].replace("\\", "/")


def _class_named(given: str, classes: tuple[str, ...]) -> str:
    """The class with this name, or the only one that differs just in case; else `given`."""
    alike = [name for name in classes if caseless(name) == caseless(given)]
    return alike[0] if len(alike) == 1 and given not in classes else given
