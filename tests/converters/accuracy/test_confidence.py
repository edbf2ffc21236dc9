from __future__ import annotations

from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.accuracy.confidence import Confidence, chance_of_errors, judge_confidence

CLASSES = ("a", "b", "c", "d")


def sure(
    count: int, confidence: float, right: int, label: int = 0
) -> tuple[list[float], list[int]]:
    """Confidences of `count` images labelled `label`, and the true class of each."""
    return [confidence] * count, [label] * right + [(label + 1) % 4] * (count - right)


def logits_of(confidences: list[float], label: int = 0) -> NDArray[np.float32]:
    """Logits (n, 4) with these confidences in a label."""
    shares = np.array(confidences)[:, np.newaxis]
    chances = np.broadcast_to((1 - shares) / 3, (len(confidences), 4)).copy()
    chances[:, label] = confidences
    return np.log(chances).astype(np.float32)


def judged(*groups: tuple[int, float, int], label: int = 0, limit: float = 0.5) -> Confidence:
    """Groups of (images, their confidence, how many are right)."""
    found = [sure(*group, label=label) for group in groups]
    logits = logits_of([c for confidences, _ in found for c in confidences], label)
    labels = np.array([y for _, labels in found for y in labels])
    # Images of one confidence lie in a bin by chance, not the right ones first.
    order = np.random.default_rng(0).permutation(len(labels))
    return judge_confidence(logits[order], labels[order], CLASSES, limit)


@pytest.fixture
def unsure() -> Confidence:
    """1,000 images whose confidence is 0.6 and 0.8, and of which 90 and 98 % are right."""
    return judged((500, 0.6, 450), (500, 0.8, 490), limit=0.7)


def test_confidence_of_an_unsure_model_is_nearer_to_its_accuracy_with_a_temperature(
    unsure: Confidence,
) -> None:
    assert unsure.temperature.is_fitted
    assert unsure.before.value == pytest.approx(0.94 - 0.7, abs=0.02)
    assert unsure.after.value < 0.03
    assert unsure.after.low <= unsure.after.value <= unsure.after.high
    assert [one.confidence for one in unsure.bins_before] == pytest.approx([0.6] * 5 + [0.8] * 5)
    assert sum(one.right.total for one in unsure.bins) == 1000


def test_confidence_at_the_limit_counts_what_the_service_leaves_unidentified() -> None:
    logits = np.concatenate([logits_of([0.4] * 150), logits_of([0.95] * 50)])
    labels = np.array([0] * 148 + [1] * 2 + [0] * 50)
    found = judge_confidence(logits, labels, CLASSES, 0.9)
    # Without the temperature 50 of 200 would be identified.
    assert found.temperature.value < 1
    assert found.at_limit.coverage.count == 200
    assert found.at_limit.right.count == 198


def test_confidence_names_a_label_that_is_wrong_more_often_than_it_says() -> None:
    honest, boastful = logits_of([0.9] * 500), logits_of([0.9] * 100, label=1)
    labels = np.array([0] * 450 + [2] * 50 + [1] * 60 + [3] * 40)
    found = judge_confidence(np.concatenate([honest, boastful]), labels, CLASSES, 0.5)
    (doubt,) = [doubt for doubt in found.doubts if doubt.label == "b"]
    assert (doubt.right.count, doubt.right.total) == (60, 100)
    assert doubt.confidence > 0.8
    assert doubt.p_value < 1e-6


def test_confidence_that_is_right_but_for_chance_names_no_label() -> None:
    assert judged((500, 0.9, 445)).doubts == ()


def test_curve_keeps_the_surest_first_and_ends_with_all(unsure: Confidence) -> None:
    # Images of one confidence are kept together.
    first, last = unsure.curve
    assert (first.coverage.count, first.right.count) == (500, 490)
    assert (last.coverage.count, last.right.count) == (1000, 940)


def test_reached_is_the_largest_part_that_is_right_often_enough() -> None:
    groups = [(300, 0.99, 300), (300, 0.98, 297), (300, 0.9, 270)]
    found = judged(*groups)
    most = found.reached[0.99]
    assert most is not None
    assert (most.coverage.count, most.right.count) == (600, 597)
    assert found.reached[0.995] is not None
    assert found.reached[0.995].coverage.count == 600


def test_reached_by_a_few_images_without_an_error_is_not_reached() -> None:
    assert judged((99, 0.9, 99), (901, 0.8, 700)).reached == {0.99: None, 0.995: None}
    kept = judged((100, 0.9, 100), (900, 0.8, 700)).reached
    assert kept[0.99] is not None
    assert kept[0.995] is None


def test_chance_of_errors_of_one_confidence_is_the_binomial_one() -> None:
    chances = [comb(20, k) * 0.1**k * 0.9 ** (20 - k) for k in range(21)]
    for wrong in range(21):
        expected = 2 * min(sum(chances[: wrong + 1]), sum(chances[wrong:]))
        assert chance_of_errors(np.full(20, 0.9), wrong) == pytest.approx(min(1.0, expected))


def test_confidence_as_json_has_every_figure(unsure: Confidence) -> None:
    fields = unsure.to_dict()
    assert fields["temperature"] == unsure.temperature.value
    assert fields["not_fitted"] is None
    assert [one["accuracy"] for one in fields["reached"]] == [0.99, 0.995]
    assert fields["at_limit"]["limit"] == 0.7
    assert fields["curve"][-1]["coverage"]["rate"] == 1.0
