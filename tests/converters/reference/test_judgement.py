"""Tests for what an evaluation counts, writes and draws."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from converters.reference.data.class_folders import LabelledFile
from converters.reference.evaluation.contact_sheet import (
    COLUMNS,
    SIDE_PX,
    contact_sheets,
    wrong_images,
)
from converters.reference.evaluation.evaluate import REJECTED, Judgement, Paired
from converters.reference.evaluation.text import evaluation_text
from tests.converters.reference.answers import answers

CLASSES = ("red", "green")


def judgement() -> Judgement:
    """Ten images: FP32 is right on seven; INT8 loses two of them and wins one; one is rejected."""
    fp32 = [0, 0, 0, 0, 1, REJECTED, 1, 1, 1, 0]
    int8 = [0, 0, 1, 0, 0, REJECTED, 1, 0, 1, 0]
    kinds = [("native", "dm96")] * 6 + [("native", "other_export")] * 2 + [("denoised224", "")] * 2
    return Judgement(
        classes=CLASSES,
        files=tuple(
            LabelledFile(Path(f"/set/{CLASSES[i > 5]}/{i}.jpg"), CLASSES[i > 5], *kind)
            for i, kind in enumerate(kinds)
        ),
        labels=np.array([0] * 6 + [1] * 4),
        answers={name: answers(given) for name, given in (("fp32", fp32), ("int8", int8))},
        rejected={5: "the file is empty"},
    )


def test_judgement_groups_are_all_kinds_and_captures_that_are_known() -> None:
    sizes = {name: int(group.sum()) for name, group in judgement().groups().items()}
    assert sizes == {
        "all": 10,
        "kind denoised224": 2,
        "kind native": 8,
        "capture dm96": 6,
        "capture other_export": 2,
    }


def test_judgement_counts_right_labels_of_a_group_and_of_a_class() -> None:
    found = judgement()
    groups = found.groups()
    assert str(found.accuracy("fp32", groups["all"])).startswith("70.0% (7 of 10, 95 % 34.8%")
    green = found.accuracy("int8", groups["kind native"], 1)
    assert (green.count, green.total) == (1, 2)


def test_judgement_rejected_image_is_wrong_and_has_a_column_of_its_own() -> None:
    found = judgement()
    assert found.confusion("fp32", found.groups()["all"]) == [[4, 1, 1], [1, 3, 0]]


def test_judgement_pairs_lost_and_won_images_with_mcnemars_exact_p() -> None:
    found = judgement()
    everything = found.groups()["all"]
    assert found.paired("fp32", "int8", everything) == Paired(both=5, lost=2, won=1, neither=2)
    assert found.paired("fp32", "int8", everything).p_value == 1.0
    assert Paired(both=0, lost=49, won=2, neither=0).p_value == pytest.approx(1.18e-12, rel=0.01)


def test_judgement_calibration_error_leaves_out_what_has_no_confidence() -> None:
    found = judgement()
    error = found.calibration_error("fp32", found.groups()["all"])
    assert error is not None
    # Nine images in nine bins: |0.9 - 1| of seven right ones, 0.4 and 0.9 of the two wrong ones.
    assert error.value == pytest.approx((7 * 0.1 + 0.4 + 0.9) / 9)
    none = np.arange(10) == 5
    assert found.calibration_error("fp32", none) is None


def test_judgement_identified_counts_what_reaches_the_limit() -> None:
    found = judgement()
    share = found.identified("fp32", found.groups()["all"], 0.5)
    assert (share.count, share.total) == (7, 8)


def test_evaluation_text_shows_kinds_captures_pairs_and_what_was_rejected() -> None:
    text = evaluation_text(judgement(), 0.5)
    assert "kind native, 8 images: right/all, percent (95 % interval)" in text
    assert "capture other_export, 2 images" in text
    assert "all, int8: both right 5, lost 2, won 1, neither 2, p = 1" in text
    assert "confusion, int8, kind native" in text
    assert "/set/red/5.jpg: the file is empty" in text


def test_evaluation_text_says_once_what_all_images_share_and_their_sum_last() -> None:
    text = evaluation_text(judgement(), 0.5)
    heads = [line for line in text.splitlines() if ": right/all" in line]
    order = ["kind native", "kind denoised224", "capture dm96", "capture other_export", "all"]
    assert [head.partition(",")[0] for head in heads] == order
    found = judgement()
    same = [LabelledFile(f.path, f.cell_class, "native", "dm96") for f in found.files]
    alone = Judgement(found.classes, tuple(same), found.labels, found.answers, found.rejected)
    text = evaluation_text(alone, 0.5)
    assert text.count(": right/all") == 1
    assert text.startswith("all (kind native, capture dm96), 10 images: right/all")


def test_evaluation_text_of_one_graph_pairs_nothing() -> None:
    found = judgement()
    alone = Judgement(
        found.classes, found.files, found.labels, {"int8": found.answers["int8"]}, found.rejected
    )
    assert "paired" not in evaluation_text(alone, 0.5)


def test_wrong_images_are_of_any_graph_by_class_and_the_surest_first() -> None:
    assert wrong_images(judgement()) == [2, 4, 5, 7, 9]


def test_contact_sheets_of_images_that_cannot_be_read_are_whole_all_the_same() -> None:
    (page,) = contact_sheets(judgement(), [2, 4, 5, 7, 9, 0], Path("/set"))
    pixels = cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape[1] > COLUMNS * SIDE_PX
    assert pixels.shape[0] > 2 * SIDE_PX
