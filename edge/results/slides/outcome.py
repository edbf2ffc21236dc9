"""What becomes of the cells of a folder: results, and what does not leave, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from edge.results.document.result import SlideResult
from edge.results.slides.slide import Slide


@dataclass(frozen=True, slots=True)
class Held:
    """Something that does not leave until a person acts.

    Attributes:
        sample_id: of the slide; None if it is a file that belongs to no slide.
        images: cells and rejected images that are held.
        reason: one line, without ids, so that it may be logged.
        file: name of a held file, for people alone: who wrote it may have put an id into it.
        asks_to_verify: whether a person who verifies the slide anew ends it.
    """

    sample_id: str | None
    slide_id: str | None
    images: int
    reason: str
    file: str | None = None
    asks_to_verify: bool = False


@dataclass(frozen=True, slots=True)
class UnidentifiedSample:
    """Images whose sample nobody named. They never leave.

    Attributes:
        folder: below the watch folder; `.` for itself.
    """

    folder: str
    images: int
    reason: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A slide whose cells are not all there.

    Attributes:
        so_far: what the result would be now. It is not issued.
        reason: what the slide waits for, in one line without ids.
    """

    so_far: SlideResult
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know of a slide that is not held, in one line without ids."""

    sample_id: str | None
    slide_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class SlideReport:
    """Every slide is in one of `new`, `standing`, `incomplete` and `held`, or in several of them.

    All are in the order of sample and slide.

    Attributes:
        new: results to issue, each the next revision of its slide.
        standing: last issued results that nothing has changed, or whose change is held.
        slides: all slides that were found.
    """

    new: tuple[SlideResult, ...]
    standing: tuple[SlideResult, ...]
    incomplete: tuple[Incomplete, ...]
    held: tuple[Held, ...]
    unidentified: tuple[UnidentifiedSample, ...]
    notes: tuple[Note, ...]
    slides: tuple[Slide, ...] = ()
