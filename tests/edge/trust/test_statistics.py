"""Tests for edge.trust.statistics: which statistic a change of the picture moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from converters.familiarity import faults
from edge.trust.statistics import NAMES, picture_statistics
from tests.support.laboratory import NEW_SEED, Picture, drawn_pictures


def _statistic(name: str, pictures: list[Picture]) -> float:
    rows = np.stack([picture_statistics(picture) for picture in pictures])
    return float(rows[:, NAMES.index(name)].mean())


@pytest.mark.parametrize(
    ("name", "change", "sign"),
    [
        ("sharpness", lambda p: faults.gaussian(p, 3.0), -1),
        ("nucleus_offset", lambda p: faults.moved(p, 0.3, 0.0), 1),
        ("nucleus_at_border", lambda p: faults.moved(p, 0.4, 0.0), 1),
        ("nucleus_area", faults.without_nucleus, -1),
        ("nucleus_area", lambda p: faults.smaller(p, 0.5), -1),
        ("nucleus_area", lambda p: faults.larger(p, 0.6), 1),
        ("background_brightness", lambda p: faults.gained(p, 0.7, 0.7, 0.7), -1),
        ("background_red", lambda p: faults.gained(p, 1.0, 0.9, 0.9), 1),
        ("background_blue", lambda p: faults.gained(p, 0.9, 0.9, 1.0), 1),
        ("nucleus_red", lambda p: faults.gained(p, 1.2, 1.0, 1.0), 1),
        ("saturation", lambda p: faults.stained(p, 0.0, 0.5), -1),
        ("contrast", lambda p: faults.gained(p, 0.5, 0.5, 0.5), -1),
        ("clipped_bright", lambda p: faults.curved(p, 0.05), 1),
        ("clipped_dark", lambda p: faults.gained(p, 0.05, 0.05, 0.05), 1),
    ],
)
def test_statistics_of_a_changed_picture_move_as_expected(
    name: str, change: Callable[[Picture], Picture], sign: int
) -> None:
    pictures = list(drawn_pictures(24, NEW_SEED))
    moved = _statistic(name, [change(picture) for picture in pictures])
    assert sign * (moved - _statistic(name, pictures)) > 0.01


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 900), (80, 80), (363, 360)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_statistics_of_a_flat_picture_of_any_size_are_finite(
    shape: tuple[int, int], value: int
) -> None:
    found = picture_statistics(np.full((*shape, 3), value, np.uint8))
    assert found.shape == (len(NAMES),)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_statistics_of_the_same_picture_in_another_size_differ_in_sharpness_alone() -> None:
    picture = drawn_pictures(24, NEW_SEED)[3]
    larger = np.repeat(np.repeat(picture, 2, axis=0), 2, axis=1)
    moved = np.abs(picture_statistics(larger) - picture_statistics(picture)) > 0.03
    assert {name for name, is_moved in zip(NAMES, moved, strict=True) if is_moved} == {
        "sharpness",
        "sharpness_ratio",
    }
