"""Which numbers are the features of a network, and how its graph gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.features.last_layer import NoFeaturesError
from converters.features.output import has_features, with_features
from edge.backends.onnx import open_onnx
from tests.converters.features.heads import HEADS, REFUSED, Head, graph_of, linear, some_images


@pytest.mark.parametrize("name", sorted(HEADS))
def test_features_determine_the_logits_and_leave_them_equal(name: str, tmp_path: Path) -> None:
    """The logits are a linear function of the features: least squares find it without a rest."""
    graph = graph_of(HEADS[name], tmp_path)
    before = graph.SerializeToString(deterministic=True)
    extended = with_features(graph)
    onnx.checker.check_model(extended.model, full_check=True)
    images = some_images(160)
    plain = open_onnx(graph.SerializeToString(), "fp32").infer(images)
    found = open_onnx(extended.model.SerializeToString(), "fp32").infer(images)
    assert np.array_equal(found.logits, plain.logits)
    assert found.features is not None
    assert found.features.shape == (160, extended.count)
    assert extended.count == HEADS[name].features
    known = np.hstack([found.features, np.ones((160, 1))]).astype(np.float64)
    rest = found.logits - known @ np.linalg.lstsq(known, found.logits, rcond=None)[0]
    assert np.abs(rest).max() < 1e-4 * np.ptp(found.logits)
    assert plain.features is None
    assert not has_features(graph)
    assert graph.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_features_of_other_heads_are_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    head, reason = REFUSED[name]
    with pytest.raises(NoFeaturesError, match=reason):
        with_features(graph_of(head, tmp_path))


def test_features_of_a_graph_with_a_tensor_of_that_name_are_still_the_last_layers(
    tmp_path: Path,
) -> None:
    graph = graph_of(Head(linear(), lambda h, x: h["a"](x.mean([2, 3]))), tmp_path)
    first = next(node for node in graph.graph.node if node.op_type == "Conv").output[0]
    for node in graph.graph.node:
        for names in (node.input, node.output):
            names[:] = ["features" if name == first else name for name in names]
    images = some_images(3)
    expected = open_onnx(graph.SerializeToString(), "fp32").infer(images)
    found = open_onnx(with_features(graph).model.SerializeToString(), "fp32").infer(images)
    assert np.array_equal(found.logits, expected.logits)
    assert found.features is not None
    assert found.features.shape == (3, 6)
