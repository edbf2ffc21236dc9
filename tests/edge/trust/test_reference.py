"""Tests for edge.trust.reference: the artefact is read as it was written, or refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.familiarity.fit import component_count
from edge.errors import BundleError
from edge.trust.reference import MAX_REFERENCE_BYTES, FeatureSpace, read_reference
from tests.support.laboratory import CLASSES, GRAPHS, fitted


def test_reference_is_read_as_it_was_written() -> None:
    written = fitted().reference
    read = read_reference(written.to_bytes(), len(CLASSES))
    assert read.images == written.images
    assert read.faults == written.faults
    assert list(read.graphs) == list(GRAPHS)
    np.testing.assert_allclose(read.whitening, written.whitening, rtol=1e-6)
    np.testing.assert_allclose(read.class_means, written.class_means, rtol=1e-6)
    assert read.features is not None
    assert written.features is not None
    np.testing.assert_array_equal(read.features.components, written.features.components)
    assert read.to_bytes() == written.to_bytes()


def test_reference_of_a_network_without_features_has_none() -> None:
    written = fitted(has_features=False).reference
    assert read_reference(written.to_bytes(), len(CLASSES)).features is None


def test_residual_is_the_distance_from_the_space() -> None:
    space = FeatureSpace(np.ones(3, np.float32), np.eye(3, dtype=np.float32)[:2])
    assert space.residual(np.array([5, 7, 4], np.float32)) == pytest.approx(np.log(3))


def test_residual_beside_components_in_half_precision_is_not_their_rounding() -> None:
    random = np.random.default_rng(1)
    axes, _ = np.linalg.qr(random.normal(size=(512, 21)))
    inside, outside = axes[:, :20], axes[:, 20]
    rounded = inside.T.astype(np.float16).astype(np.float32)
    space = FeatureSpace(np.zeros(512, np.float32), rounded)
    for _ in range(50):
        features = (inside @ random.normal(0, 10, 20) + 0.1 * outside).astype(np.float32)
        assert space.residual(features) == pytest.approx(np.log(0.1), abs=0.2)


def test_limits_of_a_graph_that_is_not_in_it_are_refused() -> None:
    with pytest.raises(BundleError, match=r"no limits for model\.other\.onnx .*model\.int8"):
        fitted().reference.limits_of("model.other.onnx")


def _with(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            document = document[name]
        document[last] = value

    return change


def packed(values: NDArray[np.float64], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()


@pytest.mark.parametrize(
    "change",
    [
        _with("schema", "edge-reference/2"),
        _with("schema", None),
        _with("images", "many"),
        _with("statistics", None),
        _with("statistics.version", 99),
        _with("statistics.names", ["sharpness"]),
        _with("statistics.scale", [0.0] * 16),
        _with("statistics.scale", [1.0] * 15),
        # Scores would be infinite or no numbers, which no sidecar can hold.
        _with("statistics.scale", [1e-320] * 16),
        _with("statistics.class_distance", [[0.0, 1e-320]] * 3),
        _with("statistics.whitening", [[10**400] * 16] * 16),
        _with("statistics.class_means", [[1.0] * 16] * 2),
        _with("statistics.whitening", [[1.0] * 16] * 15 + [[1.0] * 15]),
        _with("statistics.whitening", [["x"] * 16] * 16),
        _with("statistics.whitening", [[1e300] * 16] * 16),
        _with("statistics.distance", [0.0, 0.0]),
        # Distances this wide, or a limit that no score reaches, would let every picture pass.
        _with("statistics.distance", [0.0, 1e8]),
        _with("statistics.class_distance", [[0.0, 1e8]] * 3),
        _with("graphs", {"model.int8.onnx": [0.0, 1.0, 1001.0]}),
        _with("graphs", {"model.int8.onnx": [0.0, 1e8, 3.0]}),
        _with("graphs", {"model.int8.onnx": [0.0, 1.0, -1e8]}),
        _with("statistics.class_distance", [[0.0, -1.0]] * 3),
        _with("faults", [{"reason": "blurred", "direction": [1.0]}]),
        _with("faults", 3),
        _with("faults", [{"reason": "aliens", "direction": [0.25] * 16}]),
        _with("features.count", 0),
        _with("features.count", 1e9),
        _with("features.count", "3"),
        _with("features.mean", "AAAA"),
        _with("features.components", "AA=="),
        _with("features.components", ""),
        _with("features.components", "/3//f/9//3//f/9/"),
        _with("features.components", "not base64!"),
        _with("features.components", packed(np.zeros((1, 3)), "<f2")),
        _with("features.components", packed(np.full((3, 3), 60_000), "<f2")),
        _with("features.components", packed(np.eye(3)[[0] * 9], "<f2")),
        _with("features.mean", packed(np.full(3, 3e38), "<f4")),
        _with("graphs", {}),
        _with("graphs", {"model.int8.onnx": [0.0, 0.0, 1.0]}),
        _with("graphs", {"model.int8.onnx": [0.0, 1.0]}),
        _with("graphs", [1]),
    ],
)
def test_damaged_reference_is_refused_with_one_line(
    change: Callable[[dict[str, Any]], None],
) -> None:
    document = json.loads(fitted().reference.to_bytes())
    change(document)
    with pytest.raises(BundleError, match="Convert the model again") as refused:
        read_reference(json.dumps(document).encode(), len(CLASSES))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b'{"schema": NaN}'])
def test_reference_that_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="cannot be used"):
        read_reference(content, len(CLASSES))


def test_reference_of_another_number_of_classes_is_refused() -> None:
    with pytest.raises(BundleError, match="cannot be used"):
        read_reference(fitted().reference.to_bytes(), 4)


def test_reference_of_the_most_features_fits_a_bundle() -> None:
    for features in (3, 512, 1280, 2048, 4096, 8192):
        count = component_count(1000, features)
        random = np.random.default_rng(0)
        space = FeatureSpace(
            random.normal(size=features).astype(np.float32),
            random.normal(size=(count, features)).astype(np.float16).astype(np.float32),
        )
        content = replace(fitted().reference, features=space).to_bytes()
        assert len(content) <= MAX_REFERENCE_BYTES
        assert count == min(64, (features + 1) // 2) or features > 2048
