from __future__ import annotations

import numpy as np
import pytest

from edge.errors import BackendError
from edge.postprocess import decide, softmax

CLASSES = ("a", "b", "c")


def test_decide_picks_the_largest_logit() -> None:
    decision = decide(np.array([0, 5, 1], np.float32), CLASSES, 0.5)
    assert decision.label == "b"
    assert decision.is_identified
    assert sum(decision.probabilities.values()) == pytest.approx(1)
    assert decision.confidence == decision.probabilities["b"]


def test_decide_below_limit_is_not_identified() -> None:
    assert not decide(np.array([1, 1.1, 1], np.float32), CLASSES, 0.5).is_identified


def test_decide_with_temperature_changes_the_confidence_and_no_label() -> None:
    logits = np.array([0, 0.8, 0.5], np.float32)
    plain, sharp = (decide(logits, CLASSES, 0.5, temperature=t) for t in (1.0, 0.5))
    assert sharp.label == plain.label == "b"
    assert sharp.probabilities == pytest.approx(decide(2 * logits, CLASSES, 0.5).probabilities)
    assert (plain.is_identified, sharp.is_identified) == (False, True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_decide_with_logit_not_finite_gives_no_label(bad: float) -> None:
    with pytest.raises(BackendError, match="not finite"):
        decide(np.array([0, bad, 1], np.float32), CLASSES, 0.5)


def test_decide_with_wrong_number_of_logits_gives_no_label() -> None:
    with pytest.raises(BackendError, match="3 classes need"):
        decide(np.zeros(4, np.float32), CLASSES, 0.5)


def test_softmax_of_huge_logits_does_not_overflow() -> None:
    assert softmax(np.array([1e4, 0], np.float32)).tolist() == [1.0, 0.0]
