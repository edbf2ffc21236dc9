"""Images in a journal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from daemon.image.records import Finished, ImageVersion, Verdict
from daemon.journal.journal import Journal, open_journal
from edge.labeller import ImageFacts, Outcome, Timing
from edge.postprocess import Decision
from edge.sidecar import ModelFacts
from edge.status import Status
from edge.trust.familiarity import Familiarity

BUNDLE = "a" * 64


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def version(name: str, size_bytes: int = 10, root: int = 1) -> ImageVersion:
    return ImageVersion(root, name.encode(), size_bytes, 1_700_000_000_123_456_789)


def labelled(label: str) -> Outcome:
    decision = Decision(label, 0.9, {label: 0.9}, is_identified=True)
    return Outcome(Status.LABELLED, ImageFacts("ab" * 32, 10), Timing(), decision)


def reopened(journal: Journal, folder: Path) -> Journal:
    journal.close()
    journal = open_journal(folder)
    journal.serve(folder / "export")
    return journal


def judged(shift: float, *, passes: bool = True) -> Familiarity:
    return Familiarity(shift, 3.0, passes, None if passes else "blurred", shift)


def verdicts(
    journal: Journal, shifts: Sequence[float], *, root: int = 1, bundle: str = BUNDLE
) -> list[Verdict]:
    """Images that are claimed and labelled, with these shifts."""
    names = [f"{time.monotonic_ns()}-{n}" for n in range(len(shifts))]
    journal.record_waiting([version(name, root=root) for name in names])
    model = ModelFacts("m", "1", bundle, "int8", "cpu", "model.int8.onnx", ("red",))
    found: list[Verdict] = []
    for image, shift in zip(journal.claim(len(shifts)), shifts, strict=True):
        outcome = replace(labelled("red"), familiarity=judged(shift, passes=shift < 3))
        found.append(Finished(image, outcome, model))
    return found
