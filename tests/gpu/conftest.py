"""A bundle with TensorRT graphs, the fake GPU for tests of the check, the real one for the rest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from edge.backends.trt.cuda import Device
from edge.backends.trt.gpu import find_machine
from edge.backends.trt.library import LIBRARIES, Library, open_library
from edge.backends.trt.plan import Machine
from edge.bundle import seal
from edge.errors import BackendError
from tests.gpu.kit import bind_lazily_in_kit
from tests.support.fake_gpu import FakeGpu, install
from tests.support.images import Jpeg
from tests.support.small_bundle import colour_model, write_small_bundle

GRAPHS: dict[str, dict[str, Any]] = {
    "int8": {"backend": "tensorrt", "typing": "strong"},
    "fp16": {"backend": "tensorrt"},
}


@pytest.fixture
def trt_bundle(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    """The small bundle with graphs for TensorRT, which the fake computes in FP32."""
    root = write_small_bundle(tmp_path / "colours.edge", colour_jpeg)
    manifest = json.loads((root / "manifest.json").read_bytes())
    golden = json.loads((root / "golden" / "golden.json").read_bytes())
    for entry in golden:
        for precision in GRAPHS:
            entry["logits"][f"{precision}.trt"] = entry["logits"]["fp32"]
    content = json.dumps(golden).encode()
    (root / "golden" / "golden.json").write_bytes(content)
    for artefact in manifest["artefacts"]:
        if artefact["path"] == "golden/golden.json":
            artefact.update(_hashed(content))
    for precision, requires in GRAPHS.items():
        path = f"model.{precision}.trt.onnx"
        (root / path).write_bytes(colour_model())
        facts = {"path": path, "role": "model", "precision": precision, "requires": requires}
        manifest["artefacts"].append({**facts, **_hashed(colour_model())})
    sealed = json.dumps(manifest).encode()
    (root / "manifest.json").write_bytes(sealed)
    (root / "manifest.sha256").write_bytes(seal(sealed))
    return root


def _hashed(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """A GPU that is none, with TensorRT 10."""
    gpu = FakeGpu()
    install(monkeypatch, gpu)
    return gpu


@pytest.fixture(scope="session")
def real_machine() -> Machine:
    """The GPU of this machine, usable with pycuda; the test is skipped where there is none."""
    try:
        machine = find_machine()
        Device().close()
    except BackendError as error:
        pytest.skip(str(error))
    return machine


@pytest.fixture(scope="session", params=LIBRARIES)
def real_library(request: pytest.FixtureRequest, real_machine: Machine) -> Library:
    """Each library that is installed, on a machine that has a GPU."""
    assert real_machine
    bind_lazily_in_kit()
    try:
        return open_library(request.param)
    except BackendError as error:
        pytest.skip(str(error))
