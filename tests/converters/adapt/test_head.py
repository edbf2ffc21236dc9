"""The fit of a last layer, and its way into a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.adapt.choice import choose_recipe, folds_of, out_of_fold
from converters.adapt.curve import learning_curve
from converters.adapt.head import Head, Recipe, fit_head
from converters.adapt.layer import head_of, with_head
from converters.features.output import with_features
from edge.backends.onnx import open_onnx
from tests.converters.features.heads import HEADS, graph_of, some_images

CLASSES = ("a", "b", "c")


def clusters(count: int, *, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Features (images, 8) around a place for each of three classes, and the labels."""
    random = np.random.default_rng(3)
    labels = np.repeat(np.arange(3), count)
    return (3 * np.eye(3, 8)[labels] + spread * random.normal(size=(3 * count, 8))), labels


def nothing(_done: int, _total: int) -> None:
    pass


@pytest.mark.parametrize("name", sorted(HEADS))
def test_head_of_a_graph_gives_its_logits_from_its_features(name: str, tmp_path: Path) -> None:
    graph = graph_of(HEADS[name], tmp_path)
    model = with_features(graph).model.SerializeToString()
    found = open_onnx(model, "fp32").infer(some_images(6))
    assert found.features is not None
    logits = head_of(graph).logits(found.features)
    assert np.abs(logits - found.logits).max() < 1e-4 * np.ptp(found.logits)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_with_head_gives_the_logits_of_the_new_layer_and_the_same_features(
    name: str, tmp_path: Path
) -> None:
    graph = graph_of(HEADS[name], tmp_path)
    random, count = np.random.default_rng(1), HEADS[name].features
    head = Head(random.normal(size=(count, 3)), random.normal(size=3))
    changed = with_head(graph, head)
    found = open_onnx(changed.SerializeToString(), "fp32").infer(some_images(4))
    before = open_onnx(with_features(graph).model.SerializeToString(), "fp32").infer(some_images(4))
    assert found.features is not None
    assert before.features is not None
    assert np.array_equal(found.features, before.features)
    assert np.allclose(found.logits, head.logits(before.features), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("from_parent", [True, False])
def test_fit_head_of_a_class_without_images_keeps_the_parents_row(*, from_parent: bool) -> None:
    features, labels = clusters(20)
    random = np.random.default_rng(0)
    parent = Head(random.normal(size=(8, 4)), random.normal(size=4))
    head = fit_head(features.astype(np.float32), labels, parent, Recipe(0.03, from_parent))
    assert np.array_equal(head.weights[:, 3], parent.weights[:, 3])
    assert head.bias[3] == parent.bias[3]
    assert (head.logits(features.astype(np.float32)).argmax(1) == labels).mean() > 0.9


def test_fit_head_with_a_strong_pull_to_the_parent_gives_the_parents_weights() -> None:
    features, labels = clusters(20)
    parent = Head(np.random.default_rng(0).normal(size=(8, 3)), np.zeros(3))
    head = fit_head(features.astype(np.float32), labels, parent, Recipe(1e4, from_parent=True))
    assert np.allclose(head.weights, parent.weights, atol=1e-3)


def test_folds_of_spread_every_class_over_all_folds() -> None:
    labels = np.repeat([0, 1, 5], [5, 12, 20])
    folds = folds_of(labels)
    for label in (0, 1, 5):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_out_of_fold_of_labels_at_random_is_no_better_than_chance() -> None:
    """An image that had a part in its own head would be labelled right."""
    random = np.random.default_rng(0)
    features = random.normal(size=(150, 1, 200)).astype(np.float32)
    labels = np.repeat(np.arange(3), 50)
    parent = Head(np.zeros((200, 3)), np.zeros(3))
    logits = out_of_fold(features, labels, parent, Recipe(0.01, from_parent=False))
    assert 0.2 < (logits.argmax(1) == labels).mean() < 0.47


def test_learning_curve_rises_and_expects_most_of_the_class_with_most_errors() -> None:
    features, labels = clusters(30, spread=1.2)
    random = np.random.default_rng(5)
    hard = labels == 2
    features[hard] += 2.5 * random.normal(size=features[hard].shape)
    views = features[:, None].astype(np.float32)
    parent = Head(np.zeros((8, 3)), np.zeros(3))
    recipe = choose_recipe(views, labels, parent, nothing)
    curve = learning_curve(views, labels, parent, recipe, CLASSES, nothing)
    assert [point.of_class for point in curve.points] == [5, 10, 20, 24]
    assert curve.points[-1].accuracy > curve.points[0].accuracy
    assert curve.expectation is not None
    assert curve.expectation.low <= curve.expectation.points <= curve.expectation.high
    assert curve.expectation.text().startswith(f"with 40 more of {curve.expectation.name}, ")
