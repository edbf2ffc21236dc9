"""Bundles with wrong content: `edge-bench` names the file, or what the model does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

import edge.bench.cli
from edge.backends.cpu import has_vnni
from edge.backends.onnx import OnnxSession
from edge.session import Inferred
from tests.faults.sabotage.lab import flip, last_constant, only_error, scale
from tests.support.networks.discs import CLASSES, INPUT

BUNDLE_FILES = (
    "manifest.json",
    "manifest.sha256",
    "model.fp32.onnx",
    "model.int8.onnx",
    "golden/00.png",
    "golden/golden.json",
    "evidence/evidence.json",
)


@pytest.fixture
def bundle(origin: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(origin / "discs.edge", tmp_path / "discs.edge"))


def served_int8(bundle: Path) -> Path:
    """The INT8 graph that a processor like this one is given."""
    return bundle / ("model.int8.onnx" if has_vnni() else "model.int8.7bit.onnx")


def benchmark(bundle: Path) -> int:
    golden = str(bundle / "golden")
    words = ["--samples", "1", "--warm-up", "0.1", "--images", golden]
    return edge.bench.cli.main([str(bundle), *words, "--output", str(bundle.parent)])


def seal(bundle: Path, **changes: Any) -> None:
    """Write the manifest again so that it fits the files, as one who edits a bundle would."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    for entry in manifest["artefacts"]:
        content = (bundle / entry["path"]).read_bytes()
        entry |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    path.write_text(json.dumps(manifest))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (bundle / "manifest.sha256").write_text(f"{digest}  manifest.json\n")


@pytest.mark.parametrize("name", BUNDLE_FILES)
def test_bench_of_bundle_with_flipped_byte_names_the_file(
    bundle: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    whole = (bundle / name).read_bytes()
    for position in np.linspace(0, len(whole) - 1, 12).astype(int):
        flip(bundle / name, int(position))
        assert benchmark(bundle) == 3
        assert Path(name).name in only_error(capsys)
        (bundle / name).write_bytes(whole)


@pytest.mark.parametrize("name", BUNDLE_FILES)
def test_bench_of_bundle_with_missing_file_names_it(
    bundle: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (bundle / name).unlink()
    assert benchmark(bundle) == 3
    assert Path(name).name in only_error(capsys)


@pytest.fixture
def other_model(bundle: Path) -> bytes:
    """The INT8 model of another bundle with the same classes: its last layer is another."""
    model = onnx.load(served_int8(bundle))
    last = last_constant(model, "_weight_q")
    assert last is not None
    turned = np.roll(numpy_helper.to_array(last), 1, axis=0)
    last.CopyFrom(numpy_helper.from_array(turned, last.name))
    return bytes(model.SerializeToString())


def test_bench_of_bundle_with_the_model_of_another_names_the_file(
    bundle: Path, capsys: pytest.CaptureFixture[str], other_model: bytes
) -> None:
    (bundle / "model.int8.onnx").write_bytes(other_model)
    assert benchmark(bundle) == 3
    assert "model.int8.onnx is not the file" in only_error(capsys)


def test_bench_of_bundle_sealed_with_the_model_of_another_fails_its_golden_images(
    bundle: Path, capsys: pytest.CaptureFixture[str], other_model: bytes
) -> None:
    served_int8(bundle).write_bytes(other_model)
    seal(bundle)
    assert benchmark(bundle) == 5
    assert "golden image" in only_error(capsys)


def test_bench_of_bundle_sealed_with_a_wrong_scale_fails_its_golden_images(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(served_int8(bundle))
    scale(model, "_weight_scale", 4.0)
    onnx.save(model, served_int8(bundle))
    seal(bundle)
    assert benchmark(bundle) == 5
    assert "golden image" in only_error(capsys)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"channels": "bgr"}, "golden image", id="channels_edited"),
        pytest.param({"crop": 0.5}, "golden image", id="crop_edited"),
    ],
)
def test_bench_of_bundle_sealed_with_another_input_fails_its_golden_images(
    bundle: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    seal(bundle, input=INPUT | changes)
    assert benchmark(bundle) == 5
    assert said in only_error(capsys)


def test_bench_of_bundle_sealed_with_too_few_classes_says_how_many_the_model_has(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seal(bundle, classes=list(CLASSES[:5]))
    assert benchmark(bundle) != 0
    assert "classes" in only_error(capsys)


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        pytest.param(lambda logits: logits * 1.5, "golden image", id="runtime_scales"),
        pytest.param(lambda logits: np.roll(logits, 1, axis=1), "golden image", id="runtime_rolls"),
        pytest.param(np.zeros_like, "golden image", id="runtime_gives_zeros"),
        pytest.param(
            lambda logits: logits * np.float32(np.nan), "not finite", id="runtime_gives_nan"
        ),
    ],
)
def test_bench_on_runtime_that_computes_wrong_numbers_fails_the_golden_images(
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    compute: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    said: str,
) -> None:
    infer = OnnxSession.infer

    def infer_wrongly(self: OnnxSession, images: NDArray[np.uint8]) -> Inferred:
        found = infer(self, images)
        return replace(found, logits=compute(found.logits))

    monkeypatch.setattr(OnnxSession, "infer", infer_wrongly)
    assert benchmark(bundle) == 5
    assert said in only_error(capsys)
