"""Looks at cells as the commands do, with a real history and real files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from edge.results.document.result import Person, SlideResult
from edge.results.issued.issued import Issued
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.completeness import Completeness
from edge.results.slides.outcome import SlideReport
from edge.results.slides.resolvers import Resolvers
from edge.results.slides.settled import Settled
from edge.results.slides.slide_results import SlideRules, slide_results
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import VerificationFile
from tests.support.sidecar_cells import slide_of
from tests.support.slide_results import PERSON, START, sha_of

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Lab:
    """A watch folder, and what was issued of it."""

    root: Path
    issued: Issued
    now: datetime = START + HOUR
    completeness: Completeness = field(default_factory=Completeness)
    takes_several_slides: bool = False

    @property
    def verifications(self) -> Path:
        return self.root / "state" / "verifications"

    def look(
        self,
        cells: Iterable[SidecarCell],
        resolvers: Resolvers | None = None,
        *,
        unread: Iterable[Path] = (),
        settled: Settled | None = None,
    ) -> SlideReport:
        """What the cells make of the slides now."""
        rules = SlideRules(
            completeness=self.completeness,
            verifications=self.verifications,
            takes_several_slides=self.takes_several_slides,
        )
        return slide_results(
            cells,
            resolvers or Resolvers(),
            rules=rules,
            history=self.issued,
            now=self.now,
            unread=unread,
            settled=settled,
        )

    def issue(
        self, cells: Iterable[SidecarCell], resolvers: Resolvers | None = None
    ) -> SlideResult:
        """Issue the only new result."""
        (result,) = self.look(cells, resolvers).new
        assert self.issued.add(result)
        return result

    def verify(
        self,
        cells: Sequence[SidecarCell],
        *,
        revision: int,
        by: Person = PERSON,
        at: datetime | None = None,
        relabel: Callable[[str | None], str] = lambda label: label or "artefact",
        reason: str | None = None,
        **changes: object,
    ) -> VerificationFile:
        """A person verifies the cells of one slide."""
        verification = VerificationFile(
            sample_id=cells[0].sample_id or "",
            slide_id=cells[0].slide_id,
            revision=revision,
            by=by,
            at=at or self.now,
            labels={cell.sha256 or "": relabel(cell.label) for cell in cells},
            reason=reason,
        )
        verification = replace(verification, **changes)  # type: ignore[arg-type]
        write_verification(self.verifications, verification)
        return verification


def late(lab: Lab, label: str = "ig", number: int = 77) -> SidecarCell:
    cell = slide_of(lab.root, [label], folder="S1/slide-1")[0]
    file = f"{number:04}.jpg"
    sidecar = cell.sidecar.with_name(f"{file}.json")
    sha256 = sha_of(f"late {number}")
    return replace(cell, file=file, sidecar=sidecar, sha256=sha256, created=lab.now - HOUR / 2)


def only_reason(report: SlideReport) -> str:
    assert report.new == ()
    (held,) = report.held
    return held.reason
