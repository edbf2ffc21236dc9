"""The inputs and orders of classes that are tried beside the card's."""

from __future__ import annotations

import numpy as np

from converters.card_check.alternatives import other_inputs, other_order
from edge.preprocess import InputSpec

SPEC = InputSpec(16, 16, "rgb", "area", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_other_inputs_differ_in_one_entry_or_say_that_they_are_combined() -> None:
    others = other_inputs(SPEC)
    specs = [other.spec for other in others]
    assert SPEC not in specs
    assert len(set(specs)) == len(specs)
    for other in others:
        changed = {k for k, v in other.spec.to_dict().items() if v != SPEC.to_dict()[k]}
        is_single = changed <= {"mean", "std"} or len(changed) == 1
        assert is_single != other.is_combined
        assert not other.is_combined or "channels" in changed


def test_other_order_is_a_permutation_whatever_the_predictions() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        labels, predicted = rng.integers(0, 8, 40), rng.integers(0, 8, 40)
        assert sorted(other_order(predicted, labels, 8)) == list(range(8))


def test_other_order_of_weak_class_that_looks_like_another_keeps_both() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    predicted = np.array([0] * 10 + [0] * 6 + [1] * 4)
    assert other_order(predicted, labels, 3) == [0, 1, 2]
