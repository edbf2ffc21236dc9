"""Cells as their sidecars say them, for tests that do not need the files themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from edge.results.document.result import CELL_CLASSES
from edge.results.reading.sidecar_cell import SidecarCell
from edge.status import Status
from tests.support.slide_results import MODEL, START, sha_of


def cell_of(
    root: Path,
    image: str,
    label: str | None = "neutrophil",
    *,
    ids: tuple[str | None, str | None] = ("S1", "slide-1"),
    created: datetime = START,
    sha256: str | None = None,
) -> SidecarCell:
    """A cell below a watch folder; unidentified without a label."""
    folder, _, file = image.rpartition("/")
    confidence = 0.96 if label else 0.3
    return SidecarCell(
        sidecar=root / f"{image}.json",
        folder=folder or ".",
        file=file,
        sha256=sha256 or sha_of(image),
        status=Status.LABELLED if label else Status.UNIDENTIFIED,
        label=label,
        confidence=confidence,
        probabilities={**dict.fromkeys(CELL_CLASSES, 0.0), label or "neutrophil": confidence},
        reason=None,
        message=None,
        sample_id=ids[0],
        slide_id=ids[1],
        model=MODEL,
        precision="int8",
        backend="onnxruntime-cpu",
        graph="model.int8.onnx",
        created=created,
    )


def rejected_of(root: Path, image: str) -> SidecarCell:
    """An image that could not be labelled."""
    return replace(
        cell_of(root, image),
        status=Status.REJECTED,
        label=None,
        confidence=None,
        probabilities={},
        reason="truncated",
        message="the file ends too early",
    )


def slide_of(
    root: Path,
    labels: Iterable[str | None],
    *,
    ids: tuple[str, str | None] = ("S1", "slide-1"),
    folder: str = "S1/slide-1",
    created: datetime = START,
) -> list[SidecarCell]:
    """The cells of one slide, `0000.jpg` and so on."""
    return [
        cell_of(root, f"{folder}/{number:04}.jpg", label, ids=ids, created=created)
        for number, label in enumerate(labels)
    ]
