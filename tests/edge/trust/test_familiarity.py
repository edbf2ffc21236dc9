"""Tests for edge.trust.familiarity: scores, limits and reasons."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from converters.familiarity import faults
from converters.familiarity.look import Seen
from edge.errors import BundleError, DeviceError
from edge.trust.familiarity import Familiarity, FamiliarityCheck, joined
from tests.support.laboratory import GRAPHS, NEW_SEED, Picture, drawn_pictures, fitted, seen

NEW = list(drawn_pictures(150, NEW_SEED))


def _judged(pictures: list[Picture], *, has_features: bool = True) -> list[Familiarity]:
    check = FamiliarityCheck(fitted(has_features=has_features).reference, GRAPHS[0])
    rows = seen(pictures, has_features=has_features)
    return [_judge(check, rows, row) for row in range(len(rows))]


def _judge(check: FamiliarityCheck, rows: Seen, row: int) -> Familiarity:
    features = None if rows.features is None else rows.features[row]
    return check.judge(rows.statistics[row], features, int(rows.predicted[row]))


@pytest.mark.parametrize("has_features", [True, False])
def test_new_images_of_the_laboratory_pass(*, has_features: bool) -> None:
    found = _judged(NEW, has_features=has_features)
    assert sum(not one.passes for one in found) <= 6
    assert all(one.passes == (one.score <= one.limit) for one in found)
    assert all((one.reason is None) == one.passes for one in found)
    assert abs(np.mean([one.shift for one in found])) < 0.4
    assert 0.6 < np.std([one.shift for one in found]) < 1.5


@pytest.mark.parametrize("fault", faults.TRIED, ids=lambda fault: fault.text)
def test_fault_is_noticed_and_named(fault: faults.Fault) -> None:
    found = _judged([fault.change(picture) for picture in NEW[:60]])
    noticed = Counter(one.reason for one in found if not one.passes)
    if fault.text != "warm light, slight":  # too slight for a single image: that is drift
        assert noticed.total() > 40
        assert noticed[str(fault.reason)] > 0.8 * noticed.total()
    assert np.mean([one.shift for one in found]) > 0.5


def test_noise_is_strange_for_no_named_reason() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 360, 363, 3)).astype(np.uint8)
    found = _judged(list(noise[:8]))
    assert not any(one.passes for one in found)
    assert all(np.isfinite(one.score) and one.score <= 1000 for one in found)


def test_features_alone_make_an_image_strange_without_a_picture_fault() -> None:
    check = FamiliarityCheck(fitted().reference, GRAPHS[0])
    rows = seen(NEW[:20])
    for row in range(20):
        statistics, predicted = rows.statistics[row], int(rows.predicted[row])
        ordinary = _judge(check, rows, row)
        strange = check.judge(statistics, np.array([900, 0, 900], np.float32), predicted)
        assert not strange.passes
        assert strange.shift == ordinary.shift
        if ordinary.score < 0.5:
            assert strange.reason == "unlike"


@pytest.mark.parametrize(
    "features", [None, np.zeros(4, np.float32), np.full(3, np.nan, np.float32)]
)
def test_missing_or_broken_features_are_a_failure_of_the_device(
    features: np.ndarray[tuple[int], np.dtype[np.float32]] | None,
) -> None:
    check = FamiliarityCheck(fitted().reference, GRAPHS[0])
    with pytest.raises(DeviceError, match="features"):
        check.judge(seen(NEW[:1]).statistics[0], features, 0)


def test_check_for_a_graph_without_limits_is_refused() -> None:
    with pytest.raises(BundleError, match="no limits"):
        FamiliarityCheck(fitted().reference, "model.fp16.trt.onnx")


def test_joined_score_follows_the_stranger_of_both() -> None:
    assert joined(0.0, 0.0) == pytest.approx(0.0)
    assert joined(9.0, 0.0) == joined(0.0, 9.0) == pytest.approx(9.0 - np.log(2), abs=0.01)
    assert joined(2.5, None) == 2.5
