"""Whether a person's verification makes the next result of a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edge.results.document.result import ResultCell, SlideResult, Verification
from edge.results.slides.grouping import CLOCK_TOLERANCE
from edge.results.verification.verification_file import VerificationFile
from edge.text.counted import counted


@dataclass(frozen=True, slots=True)
class Signing:
    """The newest verification of a slide, held against its cells.

    Attributes:
        verification: None if there is none that was not used before.
        problem: why it cannot be used, or an older one was not, in one line without ids.
    """

    verification: VerificationFile | None = None
    problem: str | None = None

    @property
    def usable(self) -> VerificationFile | None:
        """The verification, if it can be used."""
        return None if self.problem else self.verification


def newest_signing(
    verifications: Sequence[VerificationFile],
    cells: Sequence[ResultCell],
    last: SlideResult | None,
    now: datetime,
) -> Signing:
    """The newest verification that the last result does not stand on already.

    An older one is never used in place of a newer one that cannot be: it is not what the person
    said last.
    """
    if not verifications:
        return Signing()
    newest = max(verifications, key=lambda one: one.at)
    if last is not None and last.verification is not None and newest.at <= last.verification.at:
        return Signing(problem=_overlooked(verifications, last, last.verification.at))
    same_time = [one for one in verifications if one.at == newest.at]
    if any(one != newest for one in same_time):
        return Signing(newest, "two verifications of it have the same time; verify it again")
    return Signing(newest, _problem(newest, cells, last, now))


def seen_cells(
    cells: Sequence[ResultCell], verification: VerificationFile
) -> tuple[ResultCell, ...]:
    """The cells with the labels that a person gave them."""
    return tuple(
        replace(cell, label=verification.labels[cell.sha256], reviewed_by=verification.by.id)
        for cell in cells
    )


def as_signed(verification: VerificationFile) -> Verification:
    """The verification as a result holds it."""
    return Verification(verification.by, verification.at, verification.note)


def _overlooked(
    verifications: Sequence[VerificationFile], last: SlideResult, at: datetime
) -> str | None:
    """A person's word after the last result that its time makes look like one before it."""
    if any(one.at < at and one.revision >= last.revision for one in verifications):
        earlier = "has an earlier time than that of the result it stands on"
        return f"its verification {earlier}; set the clocks and verify it again"
    decided = {cell.sha256: cell.label for cell in last.cells}
    if any(one.at == at and one.labels != decided for one in verifications):
        return "its verification was changed after it was used; verify it again"
    return None


def _problem(
    verification: VerificationFile,
    cells: Sequence[ResultCell],
    last: SlideResult | None,
    now: datetime,
) -> str | None:
    if verification.at > now + CLOCK_TOLERANCE:
        return "its verification is from the future; set the clocks and verify it again"
    revision = last.revision if last else 0
    if verification.revision > revision:
        stands_on = f"revision {verification.revision}"
        return f"its verification stands on {stands_on}, the last one issued is {revision}"
    if last and last.verification is not None and verification.revision < revision:
        # Who verified had not seen what another person signed since.
        older = f"its verification stands on revision {verification.revision}"
        return f"{older}, another one made revision {revision} since; verify it again"
    there = {cell.sha256 for cell in cells}
    if unseen := len(there.difference(verification.labels)):
        return f"its verification lacks {unseen} of {counted(len(there), 'cell')}; verify it again"
    if foreign := len(set(verification.labels) - there):
        names = counted(foreign, "cell")
        return f"its verification names {names} that the slide does not have; verify it again"
    return None
