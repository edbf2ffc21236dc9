from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converters.calibration import calibrate
from converters.card import read_card
from converters.checkpoint import open_model
from converters.image_set import ImageSet, draw_images, load_images
from converters.torch_to_onnx import source_to_onnx
from edge.errors import ConfigError


def test_calibrate_in_any_order_gives_the_same_ranges(model_folder: Path) -> None:
    card = read_card(model_folder / "tiny.yaml")
    model = source_to_onnx(open_model(model_folder / "tiny.pt", card), card.input)
    images = load_images(model_folder / "calibration")
    shuffled = replace(images, files=images.files[::-1])
    first, second = (calibrate(model, s, card.input, lambda *_: None) for s in (images, shuffled))
    assert first == second
    assert first.image_count == 48
    low, high = first.by_tensor["normalised"]
    assert -2.2 < low < high < 2.7


def test_calibrate_reports_progress_to_the_end(model_folder: Path) -> None:
    card = read_card(model_folder / "tiny.yaml")
    model = source_to_onnx(open_model(model_folder / "tiny.pt", card), card.input)
    seen: list[tuple[int, int]] = []
    images = load_images(model_folder / "calibration")
    calibrate(model, images, card.input, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (48, 48)


def test_load_images_with_limit_takes_them_evenly(model_folder: Path) -> None:
    images = load_images(model_folder / "validation", ("red", "green", "blue"), limit=9)
    labels = [label for label, _ in images.files]
    assert len(labels) == 9
    assert all(labels.count(name) >= 2 for name in ("red", "green", "blue"))
    assert images.is_labelled


def test_load_images_digest_ignores_names_and_notices_bytes(
    tmp_path: Path, colour_jpeg: Callable[..., bytes]
) -> None:
    def digest(names: list[str], seeds: list[int]) -> str:
        folder = tmp_path / "-".join([*names, *map(str, seeds)])
        folder.mkdir()
        for name, seed in zip(names, seeds, strict=True):
            (folder / f"{name}.jpg").write_bytes(colour_jpeg(seed=seed))
        return load_images(folder).sha256

    assert digest(["a", "b"], [1, 2]) == digest(["d", "c"], [1, 2])
    assert digest(["e", "f"], [1, 2]) != digest(["g", "h"], [1, 3])


def test_load_images_of_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no \.jpg or \.png"):
        load_images(tmp_path)


def test_load_images_mixing_folders_and_loose_images_is_refused(
    model_folder: Path, colour_jpeg: Callable[..., bytes]
) -> None:
    (model_folder / "validation" / "loose.jpg").write_bytes(colour_jpeg())
    with pytest.raises(ConfigError, match="loose images"):
        load_images(model_folder / "validation", ("red", "green", "blue"))


def test_draw_images_gives_all_eight_classes(tmp_path: Path) -> None:
    images: ImageSet = draw_images(16, 1, tmp_path / "drawn")
    assert len({label for label, _ in images.files}) == 8
    assert len({path.read_bytes() for _, path in images.files}) == 16
    assert np.all([path.suffix == ".jpg" for _, path in images.files])
