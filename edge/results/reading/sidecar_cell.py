"""One sidecar as a typed value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.results.document.result import ModelIdentity
from edge.status import Status


@dataclass(frozen=True, slots=True)
class SidecarCell:
    """One image's outcome, as its sidecar says it.

    Attributes:
        sidecar: the file that was read.
        folder: the image's folder relative to its watch folder, with `/`; `.` for the watch folder
            itself. Sidecars of older versions lack it: then the sidecar's own folder relative to
            what is read.
        file: the image's name.
        sha256: None if the image could not be read.
        label: the class; None unless `status` is labelled.
        confidence: of the most probable class; None for rejected images.
        probabilities: by class; empty for rejected images.
        reason: code of the reason of a rejection.
        is_familiar: whether it looks like the laboratory's own images; None without such a score.
        unfamiliar: code of the reason why it does not (`edge.trust.unfamiliar`); None if it does.
        drift_since: since when the images of its analyzer looked different from the laboratory's as
            it was labelled; None: they did not, or nothing watched them.
    """

    sidecar: Path
    folder: str
    file: str
    sha256: str | None
    status: Status
    label: str | None
    confidence: float | None
    probabilities: dict[str, float]
    reason: str | None
    message: str | None
    sample_id: str | None
    slide_id: str | None
    model: ModelIdentity
    precision: str
    backend: str
    graph: str | None
    created: datetime
    is_familiar: bool | None = None
    unfamiliar: str | None = None
    drift_since: datetime | None = None

    @property
    def image(self) -> str:
        """The image's path below its watch folder."""
        return self.file if self.folder == "." else f"{self.folder}/{self.file}"
