"""Results of slides for tests, whose parts agree with each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from edge.results.document.result import (
    ERYTHROBLAST,
    LEUKOCYTES,
    PLATELET,
    ClassResult,
    Differential,
    Erythroblasts,
    Interval,
    ModelIdentity,
    Person,
    ResultCell,
    SlideResult,
    State,
    Verification,
    result_id,
    slide_key,
)

MODEL = ModelIdentity("cells8", "1.0.0", "b" * 64)
PERSON = Person("mm", "Dr. Mina Müller")
START = datetime(2026, 11, 23, 9, 14, 3, 131000, tzinfo=UTC)
COUNTS: dict[str | None, int] = {
    "neutrophil": 60,
    "lymphocyte": 30,
    "monocyte": 6,
    "eosinophil": 3,
    "ig": 1,
}


def sha_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def made_result(
    sample_id: str = "S000123",
    slide_id: str | None = "slide-1",
    *,
    counts: Mapping[str | None, int] = COUNTS,
    state: State = State.PRELIMINARY,
    revision: int = 1,
    reason: str | None = None,
) -> SlideResult:
    """A result of a slide; the counts' key None is of unidentified cells.

    The percentages are right where each is whole.
    """
    is_signed = state is not State.PRELIMINARY
    labels = [label for label, count in counts.items() for _ in range(count)]
    return SlideResult(
        sample_id=sample_id,
        slide_id=slide_id,
        state=state,
        revision=revision,
        completed=START + timedelta(minutes=revision),
        differential=_differential(counts),
        cells=tuple(
            ResultCell(
                image=f"{sample_id}/{slide_id}/{number:04}.jpg",
                sha256=sha_of(f"{sample_id}/{slide_id}/{number}"),
                suggested=label,
                confidence=0.96 if label else 0.4,
                label=label,
                reviewed_by=PERSON.id if is_signed else None,
            )
            for number, label in enumerate(labels)
        ),
        rejected_images=(),
        models=(MODEL,),
        verification=Verification(PERSON, START + timedelta(minutes=revision))
        if is_signed
        else None,
        reason=reason or ("a label was wrong" if state is State.CORRECTED else None),
        replaces=result_id(slide_key(sample_id, slide_id), revision - 1) if revision > 1 else None,
    )


def signed(sample_id: str = "S1", revision: int = 1) -> SlideResult:
    """A verified result; from the second revision on a corrected one."""
    state = State.FINAL if revision == 1 else State.CORRECTED
    return made_result(sample_id, revision=revision, state=state)


def _differential(counts: Mapping[str | None, int]) -> Differential:
    leukocytes = sum(counts.get(name, 0) for name in LEUKOCYTES)
    classes = tuple(_class(name, counts.get(name, 0), leukocytes) for name in LEUKOCYTES)
    count = counts.get(ERYTHROBLAST, 0)
    return Differential(
        classes=classes,
        leukocytes=leukocytes,
        erythroblasts=Erythroblasts(count, round(100 * count / leukocytes, 1), None, None),
        platelets=counts.get(PLATELET, 0),
        unidentified=counts.get(None, 0),
        rejected=0,
        wbc=None,
        errors_from="none: no bundle was given",
        flags=(),
    )


def _class(name: str, count: int, leukocytes: int) -> ClassResult:
    share = 100 * count / leukocytes
    limits = Interval(max(0.0, share - 3), min(100.0, share + 3))
    return ClassResult(name, count, round(share), share, limits, None)
