"""Fixtures for all tests: images, a small real bundle, the shared real images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import simplejpeg
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import seal
from tests.support.skips import fail_skipped

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SHARED_IMAGES = Path(__file__).parent.parent.parent / "shared" / "pbc"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_skipped(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor write the person's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def pbc() -> Path:
    """The shared real cell images."""
    if not (SHARED_IMAGES / "manifest.csv").is_file():
        pytest.skip("the shared real cell images are not beside this checkout")
    return SHARED_IMAGES


def colour_image(name: str, *, side_px: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-20, 20, (side_px, side_px, 3))
    return np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def colour_jpeg() -> Callable[..., bytes]:
    """JPEG bytes of one of the three colours, the classes of the small bundle."""

    def make(name: str = "red", *, side_px: int = 64, seed: int = 0) -> bytes:
        return bytes(simplejpeg.encode_jpeg(colour_image(name, side_px=side_px, seed=seed), 90))

    return make


def colour_model() -> bytes:
    """An ONNX model whose logits are the mean of each channel: uint8 (n, 16, 16, 3) to (n, 3)."""
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, 16, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.asarray(0.1, np.float32), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.fixture
def small_bundle(tmp_path: Path, colour_jpeg: Callable[..., bytes]) -> Path:
    """A whole bundle that tells red, green and blue images apart."""
    return write_small_bundle(tmp_path / "colours.edge", colour_jpeg)


def write_small_bundle(root: Path, colour_jpeg: Callable[..., bytes]) -> Path:
    files: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for precision in ("fp32", "int8"):
        facts = {
            "role": "model",
            "precision": precision,
            "requires": {"backend": "onnxruntime"},
        }
        files[f"model.{precision}.onnx"] = (colour_model(), facts)
    golden = []
    for number, name in enumerate(COLOURS):
        path = f"golden/{number:02}.jpg"
        files[path] = (colour_jpeg(name), {"role": "golden"})
        logits = [20.0 if other == name else 4.0 for other in COLOURS]
        golden.append({"path": path, "logits": {"fp32": logits, "int8": logits}})
    files["golden/golden.json"] = (json.dumps(golden).encode(), {"role": "golden"})
    artefacts = []
    for path, (content, facts) in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        artefacts.append({"path": path, "sha256": digest, "bytes": len(content), **facts})
    manifest = {
        "schema": "edge-bundle/1",
        "name": "colours",
        "version": "1",
        "classes": list(COLOURS),
        "input": {
            "height": 16,
            "width": 16,
            "channels": "rgb",
            "resize": "area",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
        "unidentified_below": 0.5,
        "default_precision": "int8",
        "artefacts": artefacts,
    }
    content = json.dumps(manifest).encode()
    (root / "manifest.json").write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))
    return root


@pytest.fixture(scope="session")
def onnx_checker() -> Callable[[bytes], None]:
    """Raises where ONNX bytes are not a valid model."""

    def check(content: bytes) -> None:
        onnx.checker.check_model(onnx.load_model_from_string(content))

    return check
