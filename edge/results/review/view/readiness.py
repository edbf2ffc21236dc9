"""Why a slide cannot be signed now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge.results.document.result import SlideResult
from edge.results.review.view.looks import Standing
from edge.results.review.view.slide_reading import READERS, Kind, SlideReading
from edge.text.counted import counted


class Obstacle(StrEnum):
    """What stands in the way, as the page knows it."""

    WAITING = "waiting"
    HELD = "held"
    NO_CELLS = "no_cells"
    UNDECIDED = "undecided"
    UNIDENTIFIED = "unidentified"
    SECOND_READER = "second_reader"
    OTHER_READER = "other_reader"
    CONSENSUS = "consensus"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Problem:
    """One obstacle; `text` says it in one line without ids."""

    code: Obstacle
    text: str
    count: int = 0


def problems_of(
    standing: Standing, reading: SlideReading, last: SlideResult | None, person_id: str | None
) -> list[Problem]:
    """Why a person cannot sign a slide now; empty: it can be signed."""
    found = [
        *_of_slide(standing),
        *_of_others(standing, reading),
        *_of_cells(reading),
        *_of_readers(reading, person_id),
    ]
    if not found and is_unchanged(standing, reading, last):
        text = "it is signed, and nothing has changed since"
        found.append(Problem(Obstacle.UNCHANGED, text))
    return found


def problems_json(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Problems as the page takes them."""
    return [{"code": str(one.code), "text": one.text, "count": one.count} for one in problems]


def may_finish(problems: Sequence[Problem]) -> bool:
    """Whether a person can end a blind reading: nothing but the second reader is missing."""
    own = {Obstacle.WAITING, Obstacle.SECOND_READER}
    codes = {one.code for one in problems}
    return Obstacle.SECOND_READER in codes and codes <= own


def is_unchanged(standing: Standing, reading: SlideReading, last: SlideResult | None) -> bool:
    """Whether the last signature, or the last verified result, says what stands now."""
    if standing.asks:
        return False
    if last is not None and last.verification is not None:
        decided = {cell.sha256: cell.label for cell in last.cells}
    elif reading.signature is None:
        return False
    else:
        decided = {}
    if reading.signature is not None and reading.is_newest:
        decided = {cell.sha256: cell.after for cell in reading.signature.cells}
    return decided == dict(reading.labels)


def _of_slide(standing: Standing) -> Iterator[Problem]:
    if standing.waits_for is not None:
        yield Problem(Obstacle.WAITING, f"it is not complete: {standing.waits_for}")
    for reason in standing.holds:
        yield Problem(Obstacle.HELD, reason)


def _of_others(standing: Standing, reading: SlideReading) -> Iterator[Problem]:
    """A verification of another program: a signature beside it would be held, not issued."""
    verification = standing.drafted.verification if standing.drafted else None
    own = reading.signature.signed_at if reading.signature else None
    if verification is not None and verification.at != own:
        text = f"{verification.by.name} has verified it otherwise; wait until that result is issued"
        yield Problem(Obstacle.WAITING, text)


def _of_cells(reading: SlideReading) -> Iterator[Problem]:
    if not reading.labels:
        yield Problem(Obstacle.NO_CELLS, "it has no cell")
    if reading.unidentified:
        cells = counted(reading.unidentified, "unidentified cell")
        yield Problem(Obstacle.UNIDENTIFIED, f"{cells} without a label", reading.unidentified)
    differ = reading.others.keys() - reading.decided
    if reading.undecided - len(differ) > 0:
        count = reading.undecided - len(differ)
        yield Problem(Obstacle.UNDECIDED, f"{counted(count, 'cell')} you have not decided", count)
    if differ:
        cells = counted(len(differ), "cell")
        yield Problem(Obstacle.CONSENSUS, f"{cells} on which the readers differ", len(differ))


def _of_readers(reading: SlideReading, person_id: str | None) -> Iterator[Problem]:
    if reading.kind is not Kind.BLIND:
        return
    if person_id in {one.id for one in reading.readers}:
        text = "you have finished your reading; another person reads it next"
        yield Problem(Obstacle.OTHER_READER, text)
    else:
        number = min(len(reading.readers) + 1, READERS)
        text = f"two persons read it before it is signed; yours is reading {number}"
        yield Problem(Obstacle.SECOND_READER, text)
