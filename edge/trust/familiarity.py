"""Whether an image looks like those of the laboratory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Familiarity:
    """How much an image looks like those of the laboratory.

    Attributes:
        score: standardised; about 0 in the laboratory, larger is stranger.
        limit: the largest score that passes.
        passes: whether the image looks like those of the laboratory.
        reason: code of what is furthest out; None if it passes.
        shift: the score of the picture's statistics, standardised by the predicted class: mean 0
            and standard deviation 1 in the laboratory. The drift monitor reads it.
    """

    score: float
    limit: float
    passes: bool
    reason: str | None
    shift: float
