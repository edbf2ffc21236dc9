"""Writes images and real sidecars without a model."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.errors import RejectReason
from edge.labeller import ImageFacts, Outcome, Timing, rejected
from edge.postprocess import Decision
from edge.results.document.result import CELL_CLASSES
from edge.sidecar import FORMATS, ModelFacts, Origin, sidecar_fields, sidecar_files, write_sidecars
from edge.status import Status
from edge.text.printable import printable_name, printable_path

CREATED = datetime(2026, 11, 23, 8, 14, 3, 131000, UTC)
MODEL = ModelFacts(
    "cells8", "1.0.0", "a" * 64, "int8", "onnxruntime-cpu", "model.int8.onnx", CELL_CLASSES
)


def outcome(
    content: bytes,
    best: str = "neutrophil",
    confidence: float = 0.93,
    *,
    is_identified: bool = True,
) -> Outcome:
    """The outcome of a cell image with these bytes."""
    rest = (1 - confidence) / (len(CELL_CLASSES) - 1)
    probabilities = dict.fromkeys(CELL_CLASSES, rest) | {best: confidence}
    return Outcome(
        Status.LABELLED if is_identified else Status.UNIDENTIFIED,
        ImageFacts(hashlib.sha256(content).hexdigest(), len(content), 360, 363, CREATED),
        Timing(0.6, 0.3, 2.4, 3.3),
        Decision(best, confidence, probabilities, is_identified),
    )


def rejected_outcome(content: bytes) -> Outcome:
    """The outcome of an image that cannot be labelled."""
    facts = ImageFacts(hashlib.sha256(content).hexdigest(), len(content), modified=CREATED)
    return rejected(RejectReason.TRUNCATED, "it ends early", facts)


def fields_of(
    found: Outcome, name: bytes, sample_id: str | None = None, slide_id: str | None = None
) -> dict[str, Any]:
    """The fields of an image's sidecar; `name` is its path below the watch folder."""
    origin = Origin(
        printable_name(Path(os.fsdecode(name))),
        sample_id,
        slide_id,
        printable_path(name.rpartition(b"/")[0]) or ".",
    )
    return sidecar_fields(found, origin, MODEL, host="dm96", created=CREATED)


def export(
    root: Path,
    name: str | bytes,
    found: Outcome | None = None,
    *,
    results: Path | None = None,
    content: bytes | None = None,
    sample_id: str | None = None,
    slide_id: str | None = None,
    formats: tuple[str, ...] = FORMATS,
) -> Path:
    """Write an image and its sidecars, as the service would; returns the JSON sidecar.

    Args:
        name: the image's path below the watch folder `root`.
        results: where the sidecars go; None is beside the image.
        content: the image's bytes, by default its name.
    """
    raw = name if isinstance(name, bytes) else name.encode()
    content = raw if content is None else content
    image = root / os.fsdecode(raw)
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(content)
    fields = fields_of(found or outcome(content), raw, sample_id, slide_id)
    target = (results or root) / os.fsdecode(raw)
    files = sidecar_files(target, fields, MODEL.classes, formats)
    write_sidecars(files)
    return files[-1][0]
