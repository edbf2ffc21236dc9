from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pytest

from edge.bench.against.onnx_runtime import open_default, open_with_provider
from edge.bundle import Bundle
from edge.errors import BackendError


def test_default_onnxruntime_labels_with_its_own_settings(
    bundle: Bundle, images: list[Path]
) -> None:
    contender = open_default("onnxruntime-default", bundle, 1)
    assert contender.label(images[2]) == "blue"
    assert contender.threads >= 1
    assert f"ONNX Runtime {ort.__version__}" in contender.version
    contender.session.close()


@pytest.mark.parametrize(
    ("subject", "package"),
    [
        ("onnxruntime-openvino", "pip install onnxruntime-openvino"),
        ("onnxruntime-cuda", "pip install onnxruntime-gpu"),
        ("onnxruntime-tensorrt", "pip install onnxruntime-gpu"),
    ],
)
def test_missing_provider_is_named_with_the_package_that_has_it(
    bundle: Bundle, subject: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match=package):
        open_with_provider(subject, bundle, 1)


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_provider_that_does_not_start_is_not_taken_for_the_cpu(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    # As on a machine with onnxruntime-gpu and no driver: the provider is listed, and the real
    # session falls back to the CPU.
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: listed)
    with pytest.raises(BackendError, match="does not start here, and ONNX Runtime chose CPU"):
        open_with_provider("onnxruntime-cuda", bundle, 1)


def test_provider_that_refuses_its_libraries_says_why(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session:
        """A fake of onnxruntime-gpu on a machine without TensorRT's libraries."""

        def __init__(self, *_args: object, **settings: object) -> None:
            assert settings["enable_fallback"] == 0
            raise RuntimeError("Please install TensorRT libraries.\nSee the requirements.")

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["TensorrtExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    with pytest.raises(BackendError, match=r"does not start here: Please install TensorRT lib"):
        open_with_provider("onnxruntime-tensorrt", bundle, 1)
