"""A laboratory whose slides are reviewed: real images, real sidecars, real files of state."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.demo.drawing.cells import draw_cell, encode_jpeg
from edge.results.document.result import CELL_CLASSES, Person
from edge.results.formats.shipped.table import FORMATS
from edge.results.send.config import SendConfig, load_send_config
from tests.support.sidecar_tree import export, outcome, rejected_outcome

MINA: Final = Person("mm", "Dr. Mina Müller")
AKI: Final = Person("aki", "Aki Kaurismäki")
# A normal blood, in the order of `CELL_CLASSES`, of 200 cells.
NORMAL: Final = dict(zip(CELL_CLASSES, (112, 6, 2, 52, 14, 4, 4, 6), strict=True))


@dataclass(frozen=True, slots=True)
class CellSpec:
    """One exported image: the model's label (None: unidentified) and confidence."""

    label: str | None
    confidence: float = 0.97
    drawn: str | None = None


@dataclass(slots=True)
class ReviewSite:
    """Folders of a laboratory below one folder."""

    folder: Path
    review: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def export(self) -> Path:
        return self.folder / "export"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def verifications(self) -> Path:
        return self.folder / "verifications"

    @property
    def config_file(self) -> Path:
        """Written anew at each look, so that tests may change what it says."""
        slides = {"verifications": "verifications", "quiet_s": 0, **self.more}
        values = {
            "state_dir": "state",
            "sidecars": {"folder": "export"},
            "slides": slides,
            "targets": [{"name": "lis", "format": "generic", "drop": "lis"}],
            "review": dict(self.review),
        }
        path = self.folder / "results.yaml"
        path.write_text(json.dumps(values))
        (self.folder / "lis").mkdir(exist_ok=True)
        self.export.mkdir(exist_ok=True)
        return path

    @property
    def config(self) -> SendConfig:
        return load_send_config(self.config_file, FORMATS)

    def add_slide(
        self,
        sample_id: str,
        cells: Iterable[CellSpec],
        *,
        slide_id: str = "slide-1",
        rejected: int = 0,
    ) -> None:
        """Export a slide as the service would leave it: each image with its sidecar."""
        number = 0
        for number, cell in enumerate(cells, start=1):
            name = f"{sample_id}/{slide_id}/IMG{number:04}.jpg"
            self.add_image(name, cell, sample_id=sample_id, slide_id=slide_id)
        for extra in range(number + 1, number + rejected + 1):
            content = unique_jpeg("neutrophil", f"{sample_id} {slide_id} {extra}")[:-40]
            name = f"{sample_id}/{slide_id}/IMG{extra:04}.jpg"
            export(
                *(self.export, name, rejected_outcome(content)),
                content=content,
                sample_id=sample_id,
                slide_id=slide_id,
            )

    def add_image(
        self, name: str, cell: CellSpec, *, sample_id: str, slide_id: str, version: float = 0
    ) -> Path:
        """Export one image; another version of it has other bytes."""
        content = unique_jpeg(cell.drawn or cell.label or "monocyte", f"{name} {version}")
        best = cell.label or "monocyte"
        found = outcome(content, best, cell.confidence, is_identified=cell.label is not None)
        return export(
            self.export, name, found, content=content, sample_id=sample_id, slide_id=slide_id
        )


def mixed_cells(
    counts: Mapping[str, int], *, unidentified: int = 0, wrong: int = 0, seed: int = 1
) -> list[CellSpec]:
    """Cells of a mix; `wrong` of them are neutrophils that the model called lymphocytes.

    The wrong ones are the least certain of their class, as a model's errors mostly are.
    """
    draw = random.Random(seed)  # noqa: S311 - the same cells on every run
    cells = [
        CellSpec(name, round(draw.uniform(0.86, 0.999), 4))
        for name, count in counts.items()
        for _ in range(count)
    ]
    lymphocytes = [n for n, cell in enumerate(cells) if cell.label == "lymphocyte"]
    for number, place in enumerate(lymphocytes[:wrong]):
        cells[place] = CellSpec("lymphocyte", round(0.55 + number / 100, 4), "neutrophil")
    cells += [CellSpec(None, 0.35, "monocyte")] * unidentified
    draw.shuffle(cells)
    return cells


@cache
def _drawn(name: str, variant: int) -> bytes:
    number = CELL_CLASSES.index(name) * 100 + variant
    return encode_jpeg(draw_cell(name, np.random.default_rng(number)))


def unique_jpeg(name: str, text: str) -> bytes:
    """A drawn cell of a class whose bytes no other text gives: it has the text as a comment."""
    jpeg = _drawn(name, sum(text.encode()) % 4)
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]
