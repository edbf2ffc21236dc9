"""Whether a person's verification makes the next result of a slide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from edge.results.document.result import ResultCell, SlideResult, Verification
from edge.results.slides.grouping import CLOCK_TOLERANCE
from edge.results.verification.verification_file import VerificationFile
from edge.text.counted import counted


@dataclass(frozen=True, slots=True)
class Signing:
    """The verification of a slide that counts, held against its cells.

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


def signing_of(
    verifications: Sequence[VerificationFile],
    cells: Sequence[ResultCell],
    last: SlideResult | None,
    now: datetime,
    changes: Callable[[VerificationFile], bool] = lambda _verification: True,
) -> Signing:
    """The verification that makes the next result, whether or not one looked between two of them.

    Of persons who verified the same result differently, the one who was first signs, with the
    newest of their verifications; the others had not seen it, which `unanswered` tells. An older
    one is never used in place of a person's newer one that cannot be: it is not what the person
    said last.

    Args:
        changes: whether a usable verification changes the last result.
    """
    at = last.verification.at if last and last.verification else None
    fresh = [one for one in verifications if at is None or one.at > at]
    agreed = {one.by.id for one in newest_of_each(fresh) if _agrees(one, last)}
    fresh = [one for one in fresh if one.by.id not in agreed]
    usable = [one for one in fresh if _problem(one, cells, last, now) is None]
    # By the first usable one of each person.
    persons = list(dict.fromkeys(one.by.id for one in sorted(usable, key=lambda one: one.at)))
    found = Signing(problem=_overlooked(verifications, last) if last else None)
    if fresh and not usable:
        newest = max(fresh, key=lambda one: one.at)
        found = Signing(newest, _same_time(fresh, newest) or _problem(newest, cells, last, now))
    for person in persons:
        own = [one for one in fresh if one.by.id == person]
        newest = max(own, key=lambda one: one.at)
        first = min((one for one in own if one in usable), key=lambda one: one.at)
        problem = _same_time(fresh, first, newest) or _problem(newest, cells, last, now)
        found = Signing(newest, problem)
        if problem or changes(newest):
            break
        # It changes nothing, so that the next person's word stands on the same result.
    return found


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


def newest_of_each(verifications: Sequence[VerificationFile]) -> Collection[VerificationFile]:
    """The newest of each person."""
    ordered = sorted(verifications, key=lambda one: one.at)
    return {one.by.id: one for one in ordered}.values()


def replaced(verification: VerificationFile, revision: int) -> str:
    """Why a verification is held whose person had not seen the one that made a later revision."""
    older = f"its verification stands on revision {verification.revision}"
    return f"{older}, another one made revision {revision} since; verify it again"


def _agrees(verification: VerificationFile, last: SlideResult | None) -> bool:
    """Whether a person who had not seen another one's result came to the same."""
    if last is None or last.verification is None or verification.revision >= last.revision:
        return False
    is_other = verification.by.id != last.verification.by.id
    return is_other and verification.labels == _decided(last)


def _same_time(fresh: Sequence[VerificationFile], *mine: VerificationFile) -> str | None:
    if any(one.at == own.at and one != own for own in mine for one in fresh):
        return "two verifications of it have the same time; verify it again"
    return None


def _overlooked(verifications: Sequence[VerificationFile], last: SlideResult) -> str | None:
    """A person's word that its time makes look like one before the last result."""
    if last.verification is None:
        return None
    at, signer = last.verification.at, last.verification.by.id
    if any(one.at < at and one.revision >= last.revision for one in verifications):
        earlier = "has an earlier time than that of the result it stands on"
        return f"its verification {earlier}; set the clocks and verify it again"
    decided = _decided(last)
    changed = [one for one in verifications if one.at == at and one.labels != decided]
    if any(one.by.id != signer for one in changed):
        return "two verifications of it have the same time; verify it again"
    if changed:
        return "its verification was changed after it was used; verify it again"
    return None


def _decided(last: SlideResult) -> dict[str, str | None]:
    return {cell.sha256: cell.label for cell in last.cells}


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
    signer = last.verification.by.id if last and last.verification else None
    if signer not in {None, verification.by.id} and verification.revision < revision:
        return replaced(verification, revision)
    there = {cell.sha256 for cell in cells}
    if unseen := len(there.difference(verification.labels)):
        return f"its verification lacks {unseen} of {counted(len(there), 'cell')}; verify it again"
    if foreign := len(set(verification.labels) - there):
        names = counted(foreign, "cell")
        return f"its verification names {names} that the slide does not have; verify it again"
    return None
