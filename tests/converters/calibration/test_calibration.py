from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from converters.calibration.cache import cache_key, cached
from converters.calibration.calibration import Calibration, calibrate
from converters.export.torch_to_onnx import source_to_onnx
from converters.inputs.card import read_card
from converters.inputs.image_set import ImageSet, draw_images, load_images
from converters.int8.onnx_to_int8 import quantizable_tensors
from converters.layers.placement import TENSORRT, X86
from converters.loading.checkpoint import SourceModel
from edge.errors import ConfigError
from edge.text.progress import OnCount
from tests.support.images import Jpeg


class Calibrate(Protocol):
    """The fixture `run`."""

    def __call__(self, images: ImageSet, on_image: OnCount = ...) -> Calibration: ...


@pytest.fixture
def run(model_folder: Path, tiny_source: SourceModel) -> Calibrate:
    """Calibrate the small network on a set of images."""
    card = read_card(model_folder / "tiny.yaml")
    model = source_to_onnx(tiny_source, card.input)
    tensors = quantizable_tensors(model, X86, TENSORRT)

    def calibrate_on(images: ImageSet, on_image: OnCount = lambda *_: None) -> Calibration:
        return calibrate(model, tensors, images, card.input, on_image)

    return calibrate_on


def assert_same(first: Calibration, second: Calibration) -> None:
    assert first.predicted == second.predicted
    assert first.image_count == second.image_count
    assert list(first.histograms) == list(second.histograms)
    for one, other in zip(first.histograms.values(), second.histograms.values(), strict=True):
        assert (one.exponent, one.low, one.high) == (other.exponent, other.low, other.high)
        assert np.array_equal(one.counts, other.counts)


def test_calibrate_in_any_order_is_bit_identical(model_folder: Path, run: Calibrate) -> None:
    images = load_images(model_folder / "calibration")
    found = run(images)
    assert_same(found, run(replace(images, files=images.files[::-1])))
    assert found.image_count == 48
    assert sum(found.predicted.values()) == 48
    normalised = found.histograms["normalised"]
    assert -2.2 < normalised.low < normalised.high < 2.7


def test_calibrate_reports_progress_to_the_end(model_folder: Path, run: Calibrate) -> None:
    seen: list[tuple[int, int]] = []
    run(load_images(model_folder / "calibration"), lambda *state: seen.append(state))
    assert seen[-1] == (48, 48)


def test_calibration_of_few_or_one_sided_images_warns(model_folder: Path, run: Calibrate) -> None:
    images = load_images(model_folder / "calibration")
    several = run(images)
    assert len(several.warnings(("red", "green", "blue"))) == 1  # fewer than a hundred
    alike = tuple(images.files[:1] * 40)
    text = " ".join(run(replace(images, files=alike)).warnings(("red", "green", "blue")))
    assert "all calibration images look like red" in text


def test_cached_returns_what_was_stored_and_computes_once(
    tmp_path: Path, model_folder: Path, run: Calibrate
) -> None:
    images = load_images(model_folder / "calibration")
    calls: list[int] = []

    def compute() -> Calibration:
        calls.append(1)
        return run(images)

    first, second = (cached(tmp_path / "cache", "key", compute) for _ in range(2))
    assert len(calls) == 1
    assert_same(first, second)
    cached(tmp_path / "cache", "other key", compute)
    cached(None, "key", compute)
    assert len(calls) == 3


def test_cached_keeps_the_calibration_of_a_network_without_anything_to_quantize(
    tmp_path: Path,
) -> None:
    first = cached(tmp_path, "key", lambda: Calibration({}, {0: 3}, 3, "hash"))
    assert cached(tmp_path, "key", _unexpected) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"\x00\x00", b"\xff\x00", 40),
        lambda content: content[:0],
        lambda content: content[:200] + bytes(200) + content[400:],
        lambda content: _with_facts(content, b"[" * 100_000),
        lambda content: _with_facts(content, b'{"names": NaN}'),
        lambda content: _with_facts(content, b"[]"),
    ],
    ids=["cut", "bytes", "empty", "hole", "nested", "no JSON", "another value"],
)
def test_a_damaged_cache_is_computed_again_and_replaced(
    tmp_path: Path,
    model_folder: Path,
    run: Calibrate,
    damage: Callable[[bytes], bytes],
) -> None:
    calibration = run(load_images(model_folder / "calibration"))
    cached(tmp_path, "key", lambda: calibration)
    path = tmp_path / "key.npz"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert cached(tmp_path, "key", lambda: calibration) is calibration
    assert_same(cached(tmp_path, "key", _unexpected), calibration)


def _unexpected() -> Calibration:
    raise AssertionError("the cache was not replaced")


def _with_facts(content: bytes, facts: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as arrays:
        kept = {**arrays, "facts": np.frombuffer(facts, np.uint8)}
    stream = io.BytesIO()
    np.savez_compressed(stream, **kept)
    return stream.getvalue()


def test_cache_key_changes_with_model_images_and_preprocessing(
    model_folder: Path, tiny_source: SourceModel
) -> None:
    spec = read_card(model_folder / "tiny.yaml").input
    model = source_to_onnx(tiny_source, spec)
    other_model = source_to_onnx(tiny_source, replace(spec, mean=(0.5, 0.5, 0.5)))
    keys = {
        cache_key(model, ["a"], "digest", spec),
        cache_key(other_model, ["a"], "digest", spec),
        cache_key(model, ["b"], "digest", spec),
        cache_key(model, ["a"], "other", spec),
        cache_key(model, ["a"], "digest", replace(spec, crop=0.5)),
    }
    assert len(keys) == 5
    assert cache_key(model, ["a"], "digest", spec) in keys


def test_load_images_with_limit_takes_them_evenly(model_folder: Path) -> None:
    images = load_images(model_folder / "validation", ("red", "green", "blue"), limit=9)
    labels = [label for label, _ in images.files]
    assert len(labels) == 9
    assert all(labels.count(name) >= 2 for name in ("red", "green", "blue"))
    assert images.is_labelled


def test_load_images_with_limit_takes_as_many_of_a_rare_class(
    tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    for name, count in (("red", 30), ("green", 5), ("blue", 2)):
        for number in range(count):
            path = tmp_path / name / f"{number:02}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(colour_jpeg(name, seed=number))
    images = load_images(tmp_path, ("red", "green", "blue"), limit=15)
    labels = [label for label, _ in images.files]
    assert (labels.count("red"), labels.count("green"), labels.count("blue")) == (8, 5, 2)
    assert len(load_images(tmp_path, limit=15).files) == 15


def test_load_images_digest_ignores_names_and_notices_bytes(
    tmp_path: Path, colour_jpeg: Jpeg
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
    model_folder: Path, colour_jpeg: Jpeg
) -> None:
    (model_folder / "validation" / "loose.jpg").write_bytes(colour_jpeg())
    with pytest.raises(ConfigError, match="loose images"):
        load_images(model_folder / "validation", ("red", "green", "blue"))


def test_draw_images_gives_all_eight_classes(tmp_path: Path) -> None:
    images: ImageSet = draw_images(16, 1, tmp_path / "drawn")
    assert len({label for label, _ in images.files}) == 8
    assert len({path.read_bytes() for _, path in images.files}) == 16
    assert np.all([path.suffix == ".jpg" for _, path in images.files])
