from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edge.backends.onnx import open_onnx
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.errors import BackendError, BundleError
from tests.support.small_bundle import colour_model


def model_of(bundle: Path) -> bytes:
    return (bundle / "model.int8.onnx").read_bytes()


def test_infer_gives_float_logits_per_image(small_bundle: Path) -> None:
    session = open_onnx(model_of(small_bundle), "int8")
    images = np.zeros((3, 16, 16, 3), np.uint8)
    images[1, ..., 2] = 100
    logits = session.infer(images).logits
    assert logits.shape == (3, 3)
    assert logits.dtype == np.float32
    assert logits[1].tolist() == pytest.approx([0, 0, 10])


def test_infer_of_a_graph_with_features_gives_both_and_without_gives_none() -> None:
    images = np.full((2, 16, 16, 3), 50, np.uint8)
    for has_features in (True, False):
        inferred = open_onnx(colour_model(has_features=has_features), "fp32").infer(images)
        assert inferred.logits.tolist() == pytest.approx(np.full((2, 3), 5.0))
        assert (inferred.features is not None) == has_features
        if inferred.features is not None:
            assert inferred.features.dtype == np.float32
            assert inferred.features.tolist() == pytest.approx(np.full((2, 3), 50.0))


def test_infer_with_wrong_shape_is_a_backend_error(small_bundle: Path) -> None:
    session = open_onnx(model_of(small_bundle), "int8")
    with pytest.raises(BackendError, match="ONNX Runtime failed"):
        session.infer(np.zeros((1, 8, 8, 3), np.uint8))


def test_infer_after_close_is_a_backend_error(small_bundle: Path) -> None:
    session = open_onnx(model_of(small_bundle), "int8")
    session.close()
    session.close()
    with pytest.raises(BackendError, match="closed"):
        session.infer(np.zeros((1, 16, 16, 3), np.uint8))


def test_open_onnx_of_damaged_model_is_a_bundle_error() -> None:
    with pytest.raises(BundleError, match="cannot load"):
        open_onnx(b"not a model", "int8")


def test_infer_from_many_threads_gives_each_its_own_result(small_bundle: Path) -> None:
    session = open_onnx(model_of(small_bundle), "int8")

    def red(level: int) -> float:
        images = np.zeros((1, 16, 16, 3), np.uint8)
        images[..., 0] = level
        return float(session.infer(images).logits[0, 0])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(red, range(200)))
    assert found == pytest.approx([0.1 * level for level in range(200)])


def test_open_session_auto_takes_the_bundles_default(
    small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine either may be measured as the faster one.
    monkeypatch.setattr("edge.backends.select.CLEARLY_FASTER", 0.0)
    session = open_session(load_bundle(small_bundle))
    assert (session.backend, session.precision) == ("onnxruntime-cpu", "int8")


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx", "openvino"])
def test_open_session_of_backend_not_there_says_what_to_do(
    small_bundle: Path, backend: str
) -> None:
    with pytest.raises(BackendError, match=backend):
        open_session(load_bundle(small_bundle), backend=backend)


def test_binding_infers_its_batch_into_its_own_memory() -> None:
    session = open_onnx(colour_model(has_features=True), "fp32")
    images = np.full((2, 16, 16, 3), 50, np.uint8)
    binding = session.bind(images)
    # It reads where the images lie: what is there at the run counts.
    images[:] = 70
    binding.run()
    logits, features = (value.numpy() for value in binding._values[1:])  # noqa: SLF001
    assert logits.tolist() == pytest.approx(np.full((2, 3), 7.0))
    assert features.tolist() == pytest.approx(np.full((2, 3), 70.0))
    binding.close()
    with pytest.raises(BackendError, match="the binding is closed"):
        binding.run()


def test_binding_of_what_the_graph_does_not_take_is_a_backend_error() -> None:
    session = open_onnx(colour_model(), "fp32")
    with pytest.raises(BackendError, match="ONNX Runtime failed"):
        session.bind(np.zeros((1, 7, 7, 3), np.uint8))
    session.close()
    with pytest.raises(BackendError, match="session is closed"):
        session.bind(np.zeros((1, 16, 16, 3), np.uint8))
