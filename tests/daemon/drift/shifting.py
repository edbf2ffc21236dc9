"""Lets a labeller find the images of one colour strange."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.errors import TransientError
from edge.labeller import Labeller, Outcome
from edge.trust.familiarity import Familiarity

USUAL = Familiarity(0.0, 3.0, passes=True, reason=None, shift=0.0)
STRANGE = Familiarity(9.0, 3.0, passes=False, reason="stain", shift=9.0)


def find_blue_strange(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every labeller judges images, and blue ones look like another laboratory's."""
    label_batch = Labeller.label_batch

    def judged(labeller: Labeller, images: list[object]) -> list[Outcome | TransientError]:
        found = label_batch(labeller, images)  # type: ignore[arg-type]
        return [
            replace(one, familiarity=STRANGE if one.decision.label == "blue" else USUAL)
            if isinstance(one, Outcome) and one.decision
            else one
            for one in found
        ]

    monkeypatch.setattr(Labeller, "label_batch", judged)
