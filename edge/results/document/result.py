"""A slide's result: all formats are made from this document, so that their values are equal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

SCHEMA: Final = "edge-result/1"
# The denominator of the percentages: platelets and erythroblasts are not leukocytes.
LEUKOCYTES: Final = ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte", "ig")
ERYTHROBLAST: Final = "erythroblast"
PLATELET: Final = "platelet"
CELL_CLASSES: Final = (*LEUKOCYTES, ERYTHROBLAST, PLATELET)
# What a person may decide beyond the classes, and no model may: such a cell is in no count.
ARTEFACT: Final = "artefact"  # no whole cell: dirt, stain, a smudge
OTHER: Final = "other"  # a cell of another kind, such as a blast
NOT_COUNTED: Final = (ARTEFACT, OTHER)


class State(StrEnum):
    """How far a result may be relied on. HL7 v2 calls these P, F and C."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"


class FlagCode(StrEnum):
    """What a person must know before using a result: the fixed list of codes."""

    TOO_FEW_CELLS = "too_few_cells"
    MANY_UNIDENTIFIED = "many_unidentified"
    LOW_CONFIDENCE = "low_confidence"
    OTHER_LABORATORY = "other_laboratory"
    REJECTED_IMAGES = "rejected_images"
    OTHER_CELLS = "other_cells"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag; `text` says it in one line with its numbers."""

    code: FlagCode
    text: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Limits of a 95 % interval, in the unit of the value that it belongs to."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One leukocyte class.

    Attributes:
        percent: whole percent of all leukocytes; those of the six classes sum to 100. None if there
            is no leukocyte.
        share: the same in percent, not rounded; both intervals belong to it.
        sampling: the interval of counting so few cells (Clopper-Pearson).
        with_errors: the interval of counting and of the model's errors; None without a table of the
            model's errors.
        absolute: 10^9 cells per litre; None without a leukocyte count.
    """

    name: str
    count: int
    percent: int | None
    share: float | None
    sampling: Interval | None
    with_errors: Interval | None
    absolute: float | None = None


@dataclass(frozen=True, slots=True)
class Erythroblasts:
    """Erythroblasts, given per 100 leukocytes with one decimal; None without leukocytes."""

    count: int
    per_100_wbc: float | None
    sampling: Interval | None
    with_errors: Interval | None


@dataclass(frozen=True, slots=True)
class Differential:
    """The counts of one slide and what follows from them.

    Attributes:
        classes: in the order of `LEUKOCYTES`.
        leukocytes: identified cells of these classes, the denominator of the percentages.
        platelets: images of platelets; reported as present or not, never as a number.
        wbc: leukocyte count of the sample, 10^9 per litre, from a cell counter.
        errors_from: what the intervals with the model's errors stand on; why there are none,
            otherwise.
    """

    classes: tuple[ClassResult, ...]
    leukocytes: int
    erythroblasts: Erythroblasts
    platelets: int
    unidentified: int
    rejected: int
    wbc: float | None
    errors_from: str
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Who verified or reviewed: the site's id and the name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ResultCell:
    """One cell that the result stands on.

    Attributes:
        image: path of the image below the watch folder, with `/`.
        sha256: of the image file.
        suggested: the model's label; None if it identified none.
        confidence: of the most probable class, 0 to 1.
        label: what is counted; None while the cell is unidentified. One of `NOT_COUNTED` if a
            person took the cell out of the count.
        reviewed_by: id of the person who saw the cell; None if none did.
        is_familiar: whether it looks like the laboratory's own images; None without such a score.
        unfamiliar: code of the reason why it does not look like them; None if it does.
        during_drift: whether it came while the images of its analyzer looked different from
            the laboratory's.
    """

    image: str
    sha256: str
    suggested: str | None
    confidence: float
    label: str | None
    reviewed_by: str | None = None
    is_familiar: bool | None = None
    unfamiliar: str | None = None
    during_drift: bool = False


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model that labelled cells of the slide."""

    name: str
    version: str
    bundle_sha256: str


@dataclass(frozen=True, slots=True)
class Verification:
    """A person's word that the result is right."""

    by: Person
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class SlideResult:
    """One revision of a slide's result. It never changes; a correction is a new one.

    Attributes:
        sample_id: as the LIS knows it; never altered.
        slide_id: of the slide; None if a sample has one slide without an id of its own.
        revision: 1, then one more for each new result of this slide.
        completed: with time zone. When the last cell was labelled, if preliminary, else when a
            person verified it; later than that of the revision before.
        cells: in the order of `image`.
        rejected_images: paths below the watch folder, in order.
        models: those that labelled, in order.
        reason: why a corrected result was issued; None otherwise.
        replaces: `result_id` of the revision before; None for the first.
        collected: when the sample was taken, with time zone, if a manifest says it.
    """

    sample_id: str
    slide_id: str | None
    state: State
    revision: int
    completed: datetime
    differential: Differential
    cells: tuple[ResultCell, ...]
    rejected_images: tuple[str, ...]
    models: tuple[ModelIdentity, ...]
    verification: Verification | None = None
    reason: str | None = None
    replaces: str | None = None
    collected: datetime | None = None

    @property
    def slide_key(self) -> str:
        """The same for all revisions of a slide: 20 letters and digits, without patient data."""
        return slide_key(self.sample_id, self.slide_id)

    @property
    def result_id(self) -> str:
        """Of this revision: 20 letters and digits, without patient data."""
        return result_id(self.slide_key, self.revision)


def slide_key(sample_id: str, slide_id: str | None) -> str:
    """What all revisions of a slide share."""
    return short_hash(f"{sample_id}\0{slide_id or ''}")


def result_id(key: str, revision: int) -> str:
    """The id of one revision of the slide with this key."""
    return short_hash(f"{key}\0{revision}")


def short_hash(text: str) -> str:
    """20 hexadecimal digits in upper case: as long as HL7 v2.5.1 allows a message's id to be."""
    return hashlib.sha256(text.encode()).hexdigest()[:20].upper()
