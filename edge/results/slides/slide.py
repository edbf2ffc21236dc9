"""The cells of one slide, before anything is counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from edge.errors import RejectReason
from edge.results.document.result import (
    ModelIdentity,
    ResultCell,
    slide_key,
)
from edge.results.manifest.manifest import ManifestRow
from edge.results.reading.sidecar_cell import SidecarCell
from edge.text.counted import counted


@dataclass(frozen=True, slots=True)
class Slide:
    """What was found of one slide.

    Attributes:
        folders: real folders that it lies in; more than one is a mistake.
        images: every outcome, in the order of the images.
        rows: rows of manifests that name its images.
        absent: images that a manifest names and that have no sidecar.
        is_alone: whether no other slide lies in its folders or below.
        image_folders: where images of it may wait for their sidecar; with all below if it is alone.
        sidecar_folders: where sidecars of it may be that cannot be read, with all below.
        files: names of the images that have a sidecar by their real folder, of all slides.
    """

    sample_id: str
    slide_id: str | None
    folders: frozenset[Path]
    images: tuple[SidecarCell, ...]
    rows: tuple[ManifestRow, ...] = ()
    absent: int = 0
    is_alone: bool = True
    image_folders: frozenset[Path] = frozenset()
    sidecar_folders: frozenset[Path] = frozenset()
    files: Mapping[Path, Collection[str]] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """The key of all its results."""
        return slide_key(self.sample_id, self.slide_id)

    def cells(self) -> tuple[SidecarCell, ...]:
        """The images with a cell; of copies of one image only the first."""
        first: dict[str, SidecarCell] = {}
        for image in self.images:
            if image.sha256 is not None and not is_rejected(image):
                first.setdefault(image.sha256, image)
        return tuple(first.values())

    def different(self) -> int:
        """How many images there are, copies of one counted once.

        Files without content are equal, and still not copies of one image.
        """
        named = {i.sha256 for i in self.images if i.sha256 and i.reason != RejectReason.EMPTY}
        return len(named) + sum(not i.sha256 or i.reason == RejectReason.EMPTY for i in self.images)

    def rejected(self) -> tuple[str, ...]:
        """The paths of images without a cell; of copies of one image only the first."""
        seen = {cell.sha256 for cell in self.cells()}
        found = []
        for image in self.images:
            if is_rejected(image) and image.sha256 not in seen:
                found.append(image.image)
                if image.sha256 is not None and image.reason != RejectReason.EMPTY:
                    seen.add(image.sha256)
        return tuple(found)

    def newest(self) -> datetime:
        """When the last of its images was labelled."""
        return max(image.created for image in self.images)

    def models(self) -> tuple[ModelIdentity, ...]:
        """The models that labelled its cells, in order."""
        found = {cell.model for cell in self.cells()}
        return tuple(sorted(found, key=lambda m: (m.name, m.version, m.bundle_sha256)))

    def expected(self) -> int | None:
        """How many images a manifest expects; None if none says it."""
        return next((row.cells for row in self.rows if row.cells is not None), None)

    def wbc(self) -> float | None:
        """The leukocyte count of a manifest."""
        return next((row.wbc for row in self.rows if row.wbc is not None), None)

    def collected(self) -> datetime | None:
        """When the sample was taken, if a manifest says it."""
        return next((row.collected for row in self.rows if row.collected is not None), None)

    def notes(self) -> list[str]:
        """What a person should know of its images."""
        copies = len(self.images) - self.different()
        return [f"{counted(copies, 'image')} not counted: copies of others"] if copies else []


def is_rejected(image: SidecarCell) -> bool:
    """Whether there is no cell to count; only rejected images have no confidence."""
    return image.confidence is None


def unseen_cells(cells: Iterable[SidecarCell]) -> tuple[ResultCell, ...]:
    """The cells as the model labelled them."""
    return tuple(
        ResultCell(
            image=cell.image,
            sha256=cell.sha256 or "",
            suggested=cell.label,
            confidence=cell.confidence or 0.0,
            label=cell.label,
            is_familiar=cell.is_familiar,
            unfamiliar=cell.unfamiliar,
            during_drift=cell.drift_since is not None,
        )
        for cell in cells
    )


def in_order(images: Iterable[SidecarCell]) -> Sequence[SidecarCell]:
    """The images by their path below the watch folder."""
    return sorted(images, key=lambda image: (image.image, str(image.sidecar)))
