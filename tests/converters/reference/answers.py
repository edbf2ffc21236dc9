"""Answers of a model to judge."""

from __future__ import annotations

import numpy as np

from converters.reference.evaluation.evaluate import REJECTED, Answers


def answers(predicted: list[int]) -> Answers:
    confidence = [0.0 if p == REJECTED else 0.4 if i == 4 else 0.9 for i, p in enumerate(predicted)]
    return Answers(np.array(predicted), np.array(confidence))
