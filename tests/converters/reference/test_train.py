from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from converters.architectures.efficientnet_lite0 import EfficientNetLite0, load_imagenet_weights
from converters.reference.training.augment import augment, denoise
from converters.reference.training.foreign import (
    MAGNIFICATION,
    SLIGHT_MAGNIFICATION,
    augment_as_foreign,
)
from converters.reference.training.samples import ClassSamples, TrainingSamples
from converters.reference.training.train import (
    Hardware,
    Listener,
    TrainingPlan,
    batches,
    learning_rate_factor,
    train,
    update_average,
)
from edge.demo.drawing.cells import draw_cell
from edge.preprocess import InputSpec

SPEC = InputSpec(32, 32, "rgb", "area", (0.5,) * 3, (0.5,) * 3)
PLAN = TrainingPlan(epochs=2, batch_size=4, images_per_epoch=9, seed=5, small_share=0)


def samples() -> TrainingSamples:
    rng = np.random.default_rng(0)

    def some(count: int) -> list[np.ndarray]:
        return [rng.integers(0, 255, (64, 64, 3)).astype(np.uint8) for _ in range(count)]

    return TrainingSamples([ClassSamples(some(2), some(2), some(2)) for _ in range(3)])


def test_batches_depend_on_seed_and_epoch_and_not_on_the_number_of_processes() -> None:
    first, again, prepared_here = (
        list(batches(samples(), SPEC, PLAN, workers)) for workers in (1, 2, 0)
    )
    other = list(batches(samples(), SPEC, replace(PLAN, seed=6), 0))
    assert [images.shape[1] for images, _ in first] == [32] * 4
    for found in (again, prepared_here):
        for (images, labels), (images_again, labels_again) in zip(first, found, strict=True):
            assert torch.equal(images, images_again)
            assert torch.equal(labels, labels_again)
    assert not torch.equal(first[0][0], first[2][0]), "an epoch repeats the one before"
    assert not torch.equal(first[0][0], other[0][0])


def test_batches_of_the_first_epochs_are_small() -> None:
    plan = replace(PLAN, small_share=0.4, small_scale=0.75)
    sizes = [tuple(images.shape) for images, _ in batches(samples(), SPEC, plan, 0)]
    assert sizes == [(4, 24, 24, 3)] * 2 + [(4, 32, 32, 3)] * 2


def test_train_of_one_epoch_changes_weights_and_reports() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0(3)
    before = network.classifier.weight.detach().clone()
    steps: list[int] = []
    epochs: list[float] = []
    trained = train(
        network,
        samples(),
        [],
        SPEC,
        PLAN,
        hardware=Hardware(workers=0),
        listener=Listener(
            on_batch=lambda step, total, loss: steps.append(step),  # noqa: ARG005
            on_epoch=lambda result: epochs.append(result.loss),
        ),
    )
    assert steps == [1, 2, 3, 4]
    assert len(epochs) == 2
    assert np.isfinite(epochs).all()
    assert not torch.equal(trained.classifier.weight, before)


def test_train_twice_from_one_seed_gives_equal_weights() -> None:
    first, again = (_trained(seed) for seed in (5, 5))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = _trained(6)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def _trained(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    nobody = Listener(lambda *_: None, lambda _: None)
    plan = replace(PLAN, seed=seed)
    hardware = Hardware(workers=0)
    return train(
        EfficientNetLite0(3), samples(), [], SPEC, plan, hardware=hardware, listener=nobody
    ).state_dict()


def test_augment_is_reproducible_and_gives_the_network_s_size() -> None:
    image = np.random.default_rng(1).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    for seed in range(30):
        first, again = (augment(image, SPEC, np.random.default_rng(seed)) for _ in range(2))
        assert first.shape == (32, 32, 3)
        assert first.dtype == np.uint8
        assert np.array_equal(first, again)


def test_augment_as_foreign_is_reproducible_and_changes_more_than_augment() -> None:
    cell = draw_cell("neutrophil", np.random.default_rng(2))
    spec = replace(SPEC, height=96, width=96)

    def colours(images: list[np.ndarray]) -> float:
        return float(np.std([image.mean(axis=(0, 1)) for image in images], axis=0).mean())

    foreign = [
        augment_as_foreign(cell, spec, np.random.default_rng(seed), is_platelet=False)
        for seed in range(60)
    ]
    again = augment_as_foreign(cell, spec, np.random.default_rng(7), is_platelet=False)
    usual = [augment(cell, spec, np.random.default_rng(seed)) for seed in range(60)]
    assert {(image.shape, image.dtype.name) for image in foreign} == {((96, 96, 3), "uint8")}
    assert np.array_equal(foreign[7], again)
    assert colours(foreign) > 1.5 * colours(usual)


def test_augment_as_foreign_enlarges_leukocytes_and_no_platelet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranges: list[tuple[float, float]] = []

    def warp(image: np.ndarray, _rng: object, scale_range: tuple[float, float]) -> np.ndarray:
        ranges.append(scale_range)
        return image

    monkeypatch.setattr("converters.reference.training.augment.warp", warp)
    image = np.zeros((60, 60, 3), np.uint8)
    for is_platelet in (True, False):
        for seed in range(100):
            rng = np.random.default_rng(seed)
            augment_as_foreign(image, SPEC, rng, is_platelet=is_platelet)
    assert set(ranges[:100]) == {SLIGHT_MAGNIFICATION}
    assert 30 <= ranges[100:].count(SLIGHT_MAGNIFICATION) <= 50
    assert set(ranges[100:]) == {SLIGHT_MAGNIFICATION, MAGNIFICATION}


def test_batches_of_a_second_stage_hold_foreign_images() -> None:
    usual = torch.cat([images for images, _ in batches(samples(), SPEC, PLAN, 0)])
    plan = replace(PLAN, foreign_share=0.5)
    some = torch.cat([images for images, _ in batches(samples(), SPEC, plan, 0)])
    assert not torch.equal(usual, some)


def test_denoise_makes_noise_smaller_at_224_px() -> None:
    noise = np.random.default_rng(1).normal(128, 12, (363, 360, 3)).clip(0, 255).astype(np.uint8)
    smooth = denoise(noise, np.random.default_rng(0))
    assert smooth.shape == (224, 224, 3)
    assert smooth.std() < noise.std()


def test_learning_rate_factor_rises_then_falls_to_zero() -> None:
    factors = [learning_rate_factor(step, 200) for step in range(200)]
    assert factors.index(max(factors)) in (9, 10)
    assert factors[-1] < 0.001
    assert min(factors) > 0


def test_update_average_moves_weights_and_copies_counters() -> None:
    averaged, network = EfficientNetLite0(2), EfficientNetLite0(2)
    with torch.no_grad():
        averaged.classifier.bias.fill_(0)
        network.classifier.bias.fill_(1)
    update_average(averaged, network, 0.75)
    assert averaged.classifier.bias.tolist() == pytest.approx([0.25, 0.25])


def test_load_imagenet_weights_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="EfficientNet-Lite0 has"):
        load_imagenet_weights(EfficientNetLite0(2), {"a": torch.zeros(1)})
