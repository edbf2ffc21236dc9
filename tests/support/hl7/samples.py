"""The samples of docs/lis-hl7.md; `python -m tests.support.hl7.samples` writes them anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import edge
from edge.results.differential.differential import differential
from edge.results.document.result import (
    CELL_CLASSES,
    Differential,
    Interval,
    ModelIdentity,
    Person,
    ResultCell,
    SlideResult,
    State,
    Verification,
)
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Site
from edge.results.formats.hl7.messages import write_oru, write_oul

FOLDER = Path(__file__).parents[3] / "docs/samples"
ORU, OUL = FOLDER / "oru-preliminary.hl7", FOLDER / "oul-corrected.hl7"
# In the order of `CELL_CLASSES`.
_COUNTS = (121, 6, 1, 58, 12, 2, 3, 4)
# With the model's errors, as computed once for a validation of 100 cells a class: sampled numbers
# differ between versions of numpy. In the order of the leukocytes, then of the erythroblasts.
_ERRORS_FROM = "validation of cells8 1.0.0, 800 cells"
_WITH_ERRORS = (
    Interval(54.75, 68.9),
    Interval(0.21, 5.9),
    Interval(0.0, 2.08),
    Interval(23.28, 36.95),
    Interval(1.45, 9.42),
    Interval(0.0, 2.41),
    Interval(0.01, 3.8),
)
_SITE = Site("microscope-edge", "LAB", "LIS", "LAB", "dm96-left")
_TAKEN = datetime(2026, 11, 27, 6, 40, tzinfo=UTC)


def sample_messages() -> dict[Path, bytes]:
    """Messages by the file that holds them."""
    context = Context(load_code_map(), _SITE)
    preliminary, corrected = _preliminary(), _corrected()
    # A new version does not make the samples old.
    with mock.patch.object(edge, "__version__", "1.0.0"):
        return {ORU: write_oru(preliminary, context), OUL: write_oul(corrected, context)}


def _preliminary() -> SlideResult:
    labels = [label for label, n in zip(CELL_CLASSES, _COUNTS, strict=True) for _ in range(n)]
    cells = tuple(
        ResultCell(f"S000123/slide-1/{n:04}.jpg", f"{n:064x}", label, 0.97, label)
        for n, label in enumerate([*labels, None])
    )
    return SlideResult(
        sample_id="S000123",
        slide_id="slide-1",
        state=State.PRELIMINARY,
        revision=1,
        completed=_TAKEN + timedelta(hours=2),
        differential=_with_errors(differential(cells, rejected=0, seed="", wbc=7.1)),
        cells=cells,
        rejected_images=(),
        models=(ModelIdentity("cells8", "1.0.0", "6f" * 32),),
        collected=_TAKEN,
    )


def _with_errors(found: Differential) -> Differential:
    *of_classes, of_erythroblasts = _WITH_ERRORS
    return replace(
        found,
        classes=tuple(
            replace(one, with_errors=limits)
            for one, limits in zip(found.classes, of_classes, strict=True)
        ),
        erythroblasts=replace(found.erythroblasts, with_errors=of_erythroblasts),
        errors_from=_ERRORS_FROM,
    )


def _corrected() -> SlideResult:
    first = _preliminary()
    person = Person("amu", "Anna Muster")
    # She calls one of the neutrophils immature, and the unidentified cell a monocyte.
    labels = ["ig", *(cell.label or "monocyte" for cell in first.cells[1:])]
    cells = tuple(
        replace(cell, label=label, reviewed_by=person.id)
        for cell, label in zip(first.cells, labels, strict=True)
    )
    completed = first.completed + timedelta(hours=1)
    return replace(
        first,
        state=State.CORRECTED,
        revision=3,
        completed=completed,
        differential=differential(cells, rejected=0, seed="", wbc=7.1),
        cells=cells,
        verification=Verification(person, completed),
        reason="one metamyelocyte was reported as neutrophil",
        replaces=replace(first, revision=2).result_id,
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, message in sample_messages().items():
        path.write_bytes(message)
