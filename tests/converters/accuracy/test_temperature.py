from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.accuracy.temperature import MIN_IMAGES, choose_temperature, fit_temperature
from edge.postprocess import softmax

Set = tuple[NDArray[np.float32], NDArray[np.int64]]


def truthful(count: int, spread: float = 2.0, seed: int = 3) -> Set:
    """Logits (count, 4) of a model that is right as often as its confidence says, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (count, 4)).astype(np.float32)
    chances = softmax(logits)
    labels = (chances.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    return logits, np.minimum(labels, 3).astype(np.int64)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_fit_temperature_undoes_the_scale_of_logits_whose_confidence_was_right(
    scale: float,
) -> None:
    logits, labels = truthful(20_000)
    assert fit_temperature(logits * np.float32(scale), labels) == pytest.approx(scale, rel=0.05)


def test_fit_temperature_finds_the_lowest_loss_of_all() -> None:
    logits, labels = truthful(2_000)

    def loss(temperature: float) -> float:
        chosen = softmax(logits * np.float32(0.6), temperature)[np.arange(len(labels)), labels]
        return float(-np.log(chosen).sum())

    fitted = fit_temperature(logits * np.float32(0.6), labels)
    assert loss(fitted) <= min(loss(t) for t in np.linspace(0.2, 5, 200))


@pytest.mark.parametrize(("right", "limit"), [(True, 0.1), (False, 10.0)])
def test_fit_temperature_of_a_model_that_is_always_or_never_right_stays_bounded(
    right: bool,  # noqa: FBT001
    limit: float,
) -> None:
    labels = np.arange(100_000) % 2
    sure = np.eye(2, dtype=np.float32)[labels if right else 1 - labels]
    assert fit_temperature(sure, labels) == pytest.approx(limit, rel=0.05)


def test_choose_temperature_of_an_unsure_model_is_the_same_without_each_fold() -> None:
    logits, labels = truthful(2_000)
    found = choose_temperature(logits * np.float32(0.6), labels)
    assert found.is_fitted
    assert found.value == pytest.approx(0.6, rel=0.1)
    assert len(set(found.held_out)) == 5
    assert found.held_out == pytest.approx(np.full(len(labels), found.value), rel=0.1)


def test_choose_temperature_of_a_truthful_model_on_few_images_leaves_it() -> None:
    """One more number fits these images better, and others worse."""
    chosen = [choose_temperature(*truthful(MIN_IMAGES, seed=seed)) for seed in range(20)]
    left = [found for found in chosen if not found.is_fitted]
    assert len(left) >= 10
    assert {found.value for found in left} == {1.0}
    assert "not fitted on" in str(left[0].reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x, y: (x[:99], y[:99]), "it has 99 of the 100 images it needs"),
        (lambda x, y: (x, np.where(np.arange(len(y)) == 7, -1, y)), "have no labels"),
        (lambda x, _: (x, x.argmax(1)), "no image is labelled wrong"),
    ],
    ids=["few", "unlabelled", "all_right"],
)
def test_choose_temperature_without_support_is_one_and_says_why(change, reason: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    found = choose_temperature(*change(*truthful(500)))
    assert (found.value, found.is_fitted) == (1.0, False)
    assert reason in str(found.reason)
    assert set(found.held_out) == {1.0}


def test_choose_temperature_does_not_follow_a_few_images_in_the_wrong_folder() -> None:
    """Sure and wrong, they rule the likelihood; the others are as sure as they may be."""
    logits, labels = truthful(1_000)
    logits[:10] = [60, 0, 0, 0]
    labels[:10] = 1
    assert fit_temperature(logits, labels) > 1.5
    assert choose_temperature(logits, labels).value == 1.0
