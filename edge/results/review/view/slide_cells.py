"""The cells of a slide, with what every question of the page needs of them, made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from edge.results.document.result import short_hash
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.review.record.entry import CellChange
from edge.results.slides.slide import Slide


def image_id(key: str, cell: SidecarCell) -> str:
    """Of an image in a slide: 20 letters and digits, without patient data.

    Another image under the same name has another id, so that a decision about an image that was
    replaced is never taken for one about the image that came in its place.

    Args:
        key: of the slide.
    """
    return short_hash(f"{key}\0{cell.image}\0{cell.sha256 or ''}")


def change_of(cell: SidecarCell, before: str | None, after: str | None) -> CellChange:
    """What an entry says of a cell: the model's opinion, and the label before and after."""
    return CellChange(
        sha256=str(cell.sha256),
        suggested=cell.label,
        confidence=cell.confidence or 0.0,
        model=cell.model.bundle_sha256,
        before=before,
        after=after,
    )


@dataclass(frozen=True, slots=True)
class SlideCells:
    """The cells of one slide as it was found; copies of an image count once.

    Attributes:
        key: of the slide.
        by_id: in the order of the images.
        by_hash: by the image's SHA-256, in the same order.
        suggested: the model's label of each cell, by the image's SHA-256.
    """

    slide: Slide
    key: str
    by_id: Mapping[str, SidecarCell]
    by_hash: Mapping[str, SidecarCell]
    suggested: Mapping[str, str | None]

    @classmethod
    def of(cls, slide: Slide) -> Self:
        """Of a slide; takes some milliseconds for thousands of cells."""
        key, cells = slide.key, slide.cells()
        return cls(
            slide,
            key,
            {image_id(key, cell): cell for cell in cells},
            {str(cell.sha256): cell for cell in cells},
            {str(cell.sha256): cell.label for cell in cells},
        )
