"""Signed cells as a labelled folder, which edge-convert takes for calibration and training."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.files import atomic
from edge.results.document.result import NOT_COUNTED
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.review.audit.agreement import is_corrected
from edge.results.review.audit.period import Period
from edge.results.review.record.record import Record
from edge.results.review.refusal import Refusal
from edge.text.csv_cells import safe_cell
from edge.text.rfc3339 import rfc3339

# Beside the folders of the classes, where edge-convert passes it over.
TABLE: Final = "cells.csv"
_HEADING: Final = ("file", "sha256", "label", "suggested", "confidence", "model", "when")
_DIGITS: Final = 20
_SUFFIXES: Final = {"image/jpeg": ".jpg", "image/png": ".png"}

# Gives a cell's bytes, checked against its hash, and their media type; raises Refusal.
ReadImage = Callable[[SidecarCell], tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A signed cell."""

    sha256: str
    label: str
    suggested: str | None
    confidence: float
    model: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """Which signed cells are exported.

    Attributes:
        every: those whose label is the model's, too.
        not_counted: artefact and other, too, which no shipped model has as classes.
    """

    every: bool = False
    not_counted: bool = False


@dataclass(slots=True)
class Exported:
    """What was written, and what was left out.

    Attributes:
        labels: images by label.
        not_counted: cells signed as artefact or other that were not asked for.
        problems: images that are missing or changed, by the reason.
    """

    labels: Counter[str] = field(default_factory=Counter)
    not_counted: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def require_new(folder: Path) -> None:
    """Refuse a folder with something in it.

    Raises:
        ConfigError: it is there and not empty, or something else has its name.
    """
    if folder.is_symlink() or (folder.exists() and not _is_empty(folder)):
        raise ConfigError(f"{folder} is there and not empty; give a new folder.")


def wanted_cells(record: Record, period: Period, choice: Choice) -> tuple[list[Wanted], int]:
    """The cells to export, each image once with its last label, and how many labels are left out.

    Raises:
        StorageError: the record cannot be read.
    """
    last = record.last_signatures()
    found: dict[str, Wanted] = {}
    for sign in record.signatures():
        if sign.at not in period or last[sign.slide_key][0] != sign.number:
            continue
        for cell in sign.cells:
            found.pop(cell.sha256, None)
            label = str(cell.after)
            if choice.every or is_corrected(cell.suggested, label):
                found[cell.sha256] = Wanted(
                    *(cell.sha256, label, cell.suggested),
                    *(cell.confidence, cell.model, sign.at),
                )
    cells = [one for one in found.values() if choice.not_counted or one.label not in NOT_COUNTED]
    return cells, len(found) - len(cells)


def export(
    wanted: Iterable[Wanted],
    sidecars: Iterable[SidecarCell],
    read_image: ReadImage,
    folder: Path,
    told: Callable[[int], None],
) -> Exported:
    """Write DIR/<label>/<20 digits>.jpg and the table; the folder is whole, or not there.

    Args:
        wanted: from `wanted_cells`.
        sidecars: all, which name the images.
        told: called with the number of images written.

    Raises:
        ConfigError: the folder is not empty, or there is no image to write.
        StorageError: the disk refuses.
    """
    require_new(folder)
    exported = Exported()
    missing = {one.sha256: one for one in wanted}
    rows: list[tuple[object, ...]] = []
    if folder.exists():
        # Not replaced: somebody may have put something into it meanwhile.
        with atomic.storage_errors("replace", folder):
            folder.rmdir()

    def files(staging: Path) -> Iterator[tuple[Path, bytes]]:
        for one, content, suffix in _images(missing, sidecars, read_image, exported):
            name = f"{one.label}/{one.sha256[:_DIGITS]}{suffix}"
            atomic.make_folder(staging / one.label)
            yield staging / name, content
            rows.append((name, *_row(one)))
            exported.labels[one.label] += 1
            told(len(rows))

    with atomic.new_directory(folder) as staging:
        atomic.write_files(files(staging))
        if missing:
            exported.problems["no sidecar names this image"] += len(missing)
        if not rows:
            raise ConfigError(f"no image to export: {_reasons(exported)}. Look at their folders.")
        atomic.write_file(staging / TABLE, _table(sorted(rows, key=str)))
    return exported


def _images(
    missing: dict[str, Wanted],
    sidecars: Iterable[SidecarCell],
    read_image: ReadImage,
    exported: Exported,
) -> Iterator[tuple[Wanted, bytes, str]]:
    """Each wanted image that is as it was labelled; takes them out of `missing`."""
    refused: dict[str, str] = {}
    for cell in sidecars:
        one = missing.get(cell.sha256 or "")
        if one is None:
            continue
        try:
            content, kind = read_image(cell)
        except Refusal as error:
            # A copy of the image may be there under another name.
            refused[one.sha256] = error.text
            continue
        del missing[one.sha256]
        refused.pop(one.sha256, None)
        if kind in _SUFFIXES:
            yield one, content, _SUFFIXES[kind]
        else:
            exported.problems["this image is neither JPEG nor PNG"] += 1
    for sha256, text in refused.items():
        del missing[sha256]
        exported.problems[text] += 1


def _row(one: Wanted) -> tuple[object, ...]:
    return (
        *(one.sha256, one.label, one.suggested or ""),
        *(f"{one.confidence:.4f}", one.model, rfc3339(one.at)),
    )


def _table(rows: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_HEADING)
    writer.writerows(map(safe_cell, row) for row in rows)
    return text.getvalue().encode()


def _reasons(exported: Exported) -> str:
    return "; ".join(f"{n} times {text}" for text, n in exported.problems.items())


def _is_empty(folder: Path) -> bool:
    with atomic.storage_errors("read", folder):
        return folder.is_dir() and not any(folder.iterdir())
