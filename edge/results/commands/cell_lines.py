"""Cells as JSON lines and as columns of a table for people."""

from __future__ import annotations

import heapq
import json
import os
from typing import Final

from edge.results.reading.sidecar_cell import SidecarCell
from edge.text.printable import printable_path

HEADING: Final = ("confidence", "label", "next", "sample", "slide", "image")
# The text of a cell without a value.
_NONE: Final = "-"


def cell_json(cell: SidecarCell) -> str:
    """One line of JSON in ASCII, with the names of the sidecar."""
    fields = {
        "image": cell.image,
        "sha256": cell.sha256,
        "status": str(cell.status),
        "label": cell.label,
        "confidence": cell.confidence,
        "probabilities": cell.probabilities or None,
        "reason": cell.reason,
        "message": cell.message,
        "sample_id": cell.sample_id,
        "slide_id": cell.slide_id,
        "model": {
            "name": cell.model.name,
            "version": cell.model.version,
            "bundle_sha256": cell.model.bundle_sha256,
            "precision": cell.precision,
            "backend": cell.backend,
            "graph": cell.graph,
        },
        "created": cell.created.isoformat(),
        "is_familiar": cell.is_familiar,
        "unfamiliar": cell.unfamiliar,
        "drift_since": cell.drift_since.isoformat() if cell.drift_since else None,
        "sidecar": printable_path(os.fsencode(cell.sidecar)),
    }
    return json.dumps(fields)


def cell_row(cell: SidecarCell) -> tuple[str, ...]:
    """The columns of `HEADING`; `next` is the second most probable class."""
    ranked = heapq.nlargest(2, cell.probabilities.items(), key=lambda item: item[1])
    return (
        _NONE if cell.confidence is None else f"{cell.confidence:.3f}",
        outcome_text(cell),
        " ".join((ranked[1][0], f"{ranked[1][1]:.3f}")) if len(ranked) > 1 else _NONE,
        _NONE if cell.sample_id is None else cell.sample_id,
        _NONE if cell.slide_id is None else cell.slide_id,
        cell.image,
    )


def outcome_text(cell: SidecarCell) -> str:
    """The label, `unidentified (CLASS)` with the most probable class, or `rejected: REASON`.

    A cell that does not look like the laboratory's own has the reason for that behind it.
    """
    if cell.reason is not None:
        return f"{cell.status}: {cell.reason}"
    text = cell.label or f"{cell.status} ({best_class(cell)})"
    return f"{text}, {cell.unfamiliar}" if cell.unfamiliar else text


def best_class(cell: SidecarCell) -> str | None:
    """The label; of an unidentified cell, the most probable class."""
    if cell.label is not None or not cell.probabilities:
        return cell.label
    return max(cell.probabilities, key=lambda name: cell.probabilities[name])
