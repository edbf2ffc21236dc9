from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.accuracy.comparison import (
    Evidence,
    Validation,
    confusion_unidentified,
    evidence_fields,
)
from converters.accuracy.gate import Gate, judge, missed_limits, read_gate
from converters.bundle.golden import choose_golden
from edge.errors import ConfigError

CLASSES = ("a", "b")
A, B = [4.0, 0.0], [0.0, 4.0]
Row = tuple[int, list[float], list[float], int]


def evidence(*rows: Row, precision: str = "int8") -> Evidence:
    """Rows of (true class, FP32 logits, INT8 logits, how many such images)."""
    labels = np.array([r[0] for r in rows for _ in range(r[3])])
    fp32, int8 = (np.array([r[i] for r in rows for _ in range(r[3])], np.float32) for i in (1, 2))
    paths = tuple(Path(f"{i}.jpg") for i in range(len(labels)))
    return Evidence(Validation("set", "digest", CLASSES, paths, labels), fp32, int8, precision)


def missed(found: Evidence, gate: Gate | None = None) -> set[str]:
    return {check.name for check in missed_limits(judge(found, gate or Gate()))}


def test_judge_names_the_precision_that_it_judged() -> None:
    """Each text is of the model at hand: FP16 was refused with words about INT8."""
    bad = evidence((0, A, A, 60), (0, A, B, 40), (1, B, A, 40), precision="fp16")
    good = evidence((0, A, A, 60), precision="fp16")
    for found in (bad, good):
        texts = [check.text for check in judge(found, Gate())]
        assert len(texts) == 7
        assert not [text for text in texts if "INT8" in text]
        assert sum(text.startswith("FP16 ") for text in texts) == 6
    assert missed_limits(judge(bad, Gate()))[0].text == (
        "FP16 loses 57.14 points of accuracy, at most 0.5 are allowed"
    )


def test_evidence_counts_accuracy_drop_and_agreement() -> None:
    found = evidence((0, A, A, 90), (0, A, B, 2), (1, B, B, 6), (1, A, B, 2))
    fp32, int8 = found.accuracy("fp32"), found.accuracy("candidate")
    assert fp32 is not None
    assert int8 is not None
    assert (fp32.count, int8.count, fp32.total) == (98, 98, 100)
    assert found.drop_points() == pytest.approx(0)
    assert found.agreement.count == 96
    fields = evidence_fields(found)
    assert fields["per_class"]["a"]["int8"]["count"] == 90
    assert fields["confusion"]["fp32"] == [[92, 0], [2, 6]]
    assert len(fields["disagreements"]) == 4
    assert fields["paired_p_value"] == 1.0


def test_confusion_with_unidentified_cells_counts_what_a_sidecar_says() -> None:
    unsure, at_the_limit = [1.0, 0.0], [float(np.log(9.0)), 0.0]
    found = evidence((0, A, A, 5), (0, unsure, A, 3), (1, B, unsure, 2), (1, at_the_limit, B, 1))
    fp32, int8 = (
        confusion_unidentified(found.validation, found.logits(of), 0.9)
        for of in ("fp32", "candidate")
    )
    assert fp32 == [[5, 0, 3], [1, 2, 0]]
    assert int8 == [[8, 0, 0], [0, 1, 2]]


@pytest.mark.parametrize(("dropped", "is_missed"), [(0, False), (1, False), (2, True)])
def test_judge_allows_half_a_point_of_accuracy(dropped: int, is_missed: bool) -> None:  # noqa: FBT001
    found = evidence((0, A, A, 300 - dropped), (0, A, B, dropped), (1, B, B, 1))
    assert ("accuracy drop" in missed(found)) is is_missed


def test_judge_refuses_a_class_that_suffers_behind_a_good_average() -> None:
    found = evidence((0, A, A, 1000), (1, B, B, 17), (1, B, A, 3))
    assert "accuracy drop" not in missed(found)
    assert {"class recall drop", "balanced accuracy drop"} <= missed(found)


def test_judge_excuses_a_single_image_of_a_small_class() -> None:
    found = evidence((0, A, A, 1000), (1, B, B, 11), (1, B, A, 1))
    assert "class recall drop" not in missed(found)


def test_judge_of_equal_accuracy_but_other_labels_refuses() -> None:
    found = evidence((0, A, A, 90), (0, A, B, 5), (0, B, A, 5), (1, B, B, 1))
    assert found.drop_points() == pytest.approx(0)
    assert "agreement" in missed(found)


def test_judge_of_equal_labels_but_lost_confidence_refuses() -> None:
    found = evidence((0, A, [0.2, 0.0], 100), (1, B, [0.0, 0.2], 100))
    assert missed(found) == {"divergence", "calibration error rise"}


def test_judge_of_unlabelled_images_uses_what_needs_no_labels() -> None:
    found = evidence((-1, A, A, 100))
    assert found.accuracy("fp32") is None
    assert {check.name for check in judge(found, Gate())} == {"agreement", "divergence"}
    assert missed(evidence((-1, A, A, 90), (-1, A, B, 10))) >= {"agreement"}


@pytest.mark.parametrize(
    ("lost", "gained", "is_missed"),
    [(1, 0, False), (4, 0, False), (5, 0, True), (5, 1, False), (7, 1, True), (9, 8, False)],
)
def test_judge_refuses_a_class_that_loses_more_than_chance(
    lost: int,
    gained: int,
    is_missed: bool,  # noqa: FBT001
) -> None:
    # So many images that no share of them is more than a point.
    found = evidence((0, A, A, 3000), (1, B, B, 2000), (1, B, A, lost), (1, A, B, gained))
    assert missed(found) == ({"class loss"} if is_missed else set())


def test_judge_names_the_class_that_loses_and_its_chance() -> None:
    found = evidence((0, A, A, 3000), (0, A, B, 2), (1, B, B, 2000), (1, B, A, 6))
    (check,) = missed_limits(judge(found, Gate()))
    assert "loses 6 images of b and gains 0" in check.text
    assert check.found == pytest.approx(1 / 64)
    assert missed(found, Gate(min_class_chance=0.01)) == set()


def test_judge_of_a_rare_class_half_of_which_is_lost_refuses_by_its_recall() -> None:
    # Four images cannot be more than chance, but are half of what is known of the class.
    found = evidence((0, A, A, 3000), (1, B, B, 4), (1, B, A, 4))
    assert missed(found) == {"class recall drop", "balanced accuracy drop"}


def test_evidence_says_how_many_images_of_each_class_changed_and_how_sure_that_is() -> None:
    fields = evidence_fields(evidence((0, A, A, 50), (1, B, B, 17), (1, B, A, 3), (1, A, B, 1)))
    kept, lost = fields["per_class"]["a"], fields["per_class"]["b"]
    assert (kept["lost"], kept["gained"], kept["chance_of_loss"]) == (0, 0, 1.0)
    assert (lost["lost"], lost["gained"], lost["chance_of_loss"]) == (3, 1, 0.3125)
    for found in (kept, lost):
        low, high = found["drop_interval_points"]
        assert low < 100 * (found["fp32"]["rate"] - found["int8"]["rate"]) < high


def test_validation_names_thin_classes_where_it_has_labels() -> None:
    assert evidence((0, A, A, 10), (1, B, B, 9)).validation.thin_classes() == {"b": 9}
    assert evidence((0, A, A, 10)).validation.thin_classes() == {"b": 0}
    assert evidence((-1, A, A, 3)).validation.thin_classes() == {}


def test_read_gate_with_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("max_drop_point: 1\n")
    with pytest.raises(ConfigError, match="Did you mean max_drop_points"):
        read_gate(tmp_path / "gate.yaml")


@pytest.mark.parametrize("wrong", [-1.0, "much", True, None])
def test_gate_with_wrong_limit_says_which(wrong: object) -> None:
    with pytest.raises(ConfigError, match="max_divergence"):
        Gate(max_divergence=wrong)  # type: ignore[arg-type]


def test_choose_golden_takes_sure_agreeing_images_of_every_class() -> None:
    weak = [0.1, 0.0]
    found = evidence((0, A, A, 20), (0, weak, weak, 20), (1, B, B, 3), (1, A, B, 5))
    chosen = choose_golden(found.fp32, found.candidate, 8)
    assert len(chosen) == 8
    assert sum(found.fp32[i].argmax() == 1 for i in chosen) == 3
    assert all(found.fp32[i].argmax() == found.candidate[i].argmax() for i in chosen)
    assert all(np.ptp(found.fp32[i]) > 1 for i in chosen)
