"""Tests for edge.demo.drawing.cells: what is drawn is repeatable and tells the classes apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.demo.drawing.cells import CLASSES, draw_cell, encode_jpeg
from edge.demo.drawing.recipes import RECIPES

DRAWS = 6


def drawn(cell_class: str) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(20)
    return [draw_cell(cell_class, rng) for _ in range(DRAWS)]


def stained_area_px(image: NDArray[np.uint8]) -> int:
    """Pixels around the middle too dark in green for red cells, even for two that overlap."""
    return int((image[80:283, 80:280, 1] < 95).sum())


def red_over_blue(images: list[NDArray[np.uint8]]) -> float:
    """Mean red minus blue in the central cell."""
    middle = np.stack(images)[:, 150:213, 150:210].astype(np.float64)
    return float((middle[..., 0] - middle[..., 2]).mean())


def test_classes_and_recipes_name_the_same_cells() -> None:
    assert set(CLASSES) == set(RECIPES)
    assert len(CLASSES) == 8


@pytest.mark.parametrize("cell_class", CLASSES)
def test_draw_cell_same_seed_same_bytes(cell_class: str) -> None:
    first = draw_cell(cell_class, np.random.default_rng(7))
    second = draw_cell(cell_class, np.random.default_rng(7))
    assert first.tobytes() == second.tobytes()
    assert encode_jpeg(first) == encode_jpeg(second)


def test_draw_cell_next_draw_differs() -> None:
    first, second, *_ = drawn("neutrophil")
    assert np.abs(first.astype(int) - second.astype(int)).mean() > 3.0


@pytest.mark.parametrize("cell_class", CLASSES)
def test_draw_cell_default_size_is_the_analyzers(cell_class: str) -> None:
    image = draw_cell(cell_class, np.random.default_rng(1))
    assert image.shape == (363, 360, 3)
    assert image.dtype == np.uint8


def test_draw_cell_other_size_is_scaled() -> None:
    image = draw_cell("ig", np.random.default_rng(1), height_px=200, width_px=224)
    assert image.shape == (200, 224, 3)
    assert image.dtype == np.uint8


def test_draw_cell_many_seeds_stay_inside_the_canvas() -> None:
    for seed in range(30):
        image = draw_cell("monocyte", np.random.default_rng(seed))
        assert stained_area_px(image) > 3000


def test_draw_cell_unknown_class_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'blast'") as caught:
        draw_cell("blast", np.random.default_rng(1))
    assert all(name in str(caught.value) for name in CLASSES)


def test_draw_cell_platelet_stains_far_less_than_monocyte() -> None:
    largest_platelet = max(stained_area_px(image) for image in drawn("platelet"))
    smallest_monocyte = min(stained_area_px(image) for image in drawn("monocyte"))
    assert 3 * largest_platelet < smallest_monocyte


def test_draw_cell_eosinophil_is_redder_than_basophil() -> None:
    assert red_over_blue(drawn("eosinophil")) > red_over_blue(drawn("basophil")) + 15.0


def test_draw_cell_erythroblast_is_smaller_than_ig() -> None:
    erythroblasts = [stained_area_px(image) for image in drawn("erythroblast")]
    assert max(erythroblasts) < min(stained_area_px(image) for image in drawn("ig"))


def test_encode_jpeg_decodes_to_the_same_colours() -> None:
    image = draw_cell("eosinophil", np.random.default_rng(3))
    data = encode_jpeg(image)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image.astype(int)).mean() < 4.0


def test_encode_jpeg_grey_array_says_what_is_needed() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(4, 5\), it must be"):
        encode_jpeg(np.zeros((4, 5), np.uint8))


def test_encode_jpeg_size_is_like_a_real_export() -> None:
    sizes_bytes = [len(encode_jpeg(image)) for name in CLASSES for image in drawn(name)[:2]]
    assert 15_000 < np.mean(sizes_bytes) < 25_000
