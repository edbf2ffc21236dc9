from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.agreement import ComparedImage, Evidence, Gate, check_gate
from converters.pack import choose_golden
from edge.errors import AccuracyGateError

CLASSES = ("a", "b")
A, B = np.array([2, 0], np.float32), np.array([0, 2], np.float32)


def evidence(*rows: tuple[str | None, np.ndarray, np.ndarray, int]) -> Evidence:
    images = [
        ComparedImage(Path(f"{label}.jpg"), label, fp32, int8)
        for label, fp32, int8, count in rows
        for _ in range(count)
    ]
    return Evidence("set", "digest", CLASSES, tuple(images))


def test_evidence_counts_accuracy_drop_and_agreement() -> None:
    found = evidence(("a", A, A, 90), ("a", A, B, 2), ("b", B, B, 6), ("b", A, B, 2))
    assert found.fp32 is not None
    assert found.int8 is not None
    assert (found.fp32.count, found.int8.count, found.fp32.total) == (98, 98, 100)
    assert found.drop_points == pytest.approx(0)
    assert found.agreement.count == 96
    per_class = found.to_dict()["per_class"]
    assert per_class["a"]["int8"]["count"] == 90
    assert len(found.to_dict()["disagreements"]) == 4


@pytest.mark.parametrize(("dropped", "passes"), [(0, True), (1, True), (2, False)])
def test_check_gate_allows_half_a_point(dropped: int, passes: bool) -> None:  # noqa: FBT001
    found = evidence(("a", A, A, 300 - dropped), ("a", A, B, dropped))
    if passes:
        check_gate(found, Gate())
    else:
        with pytest.raises(AccuracyGateError, match=r"loses 0\.67 points"):
            check_gate(found, Gate())


def test_check_gate_with_equal_accuracy_but_other_labels_refuses() -> None:
    found = evidence(("a", A, A, 90), ("a", A, B, 5), ("a", B, A, 5))
    assert found.drop_points == 0
    with pytest.raises(AccuracyGateError, match="agree on"):
        check_gate(found, Gate())


def test_check_gate_of_unlabelled_images_uses_agreement_alone() -> None:
    found = evidence((None, A, A, 100))
    assert found.fp32 is None
    assert found.to_dict()["per_class"] is None
    check_gate(found, Gate())
    with pytest.raises(AccuracyGateError):
        check_gate(evidence((None, A, A, 90), (None, A, B, 10)), Gate())


def test_choose_golden_takes_sure_agreeing_images_of_every_class() -> None:
    weak = np.array([0.1, 0], np.float32)
    found = evidence(("a", A, A, 20), ("a", weak, weak, 20), ("b", B, B, 3), ("b", A, B, 5))
    chosen = choose_golden(found, 8)
    assert len(chosen) == 8
    assert sum(image.fp32.argmax() == 1 for image in chosen) == 3
    assert all(image.agrees and np.ptp(image.fp32) > 1 for image in chosen)
