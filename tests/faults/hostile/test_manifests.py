"""Manifests and records with wrong values: one line says so."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.backends.trt.plan import PlanRecord
from edge.errors import BundleError
from edge.manifest import MAX_BUNDLE_BYTES, MAX_JSON_BYTES
from tests.faults.hostile.bundle_edits import Manifest, edit, refusal, write_raw


def set_artefact(**fields: Any) -> Callable[[Manifest], object]:
    return lambda manifest: manifest["artefacts"][0].update(fields)


def edit_golden(root: Path, change: Callable[[Any], Any]) -> None:
    """Change golden.json and list it anew."""
    path = root / "golden/golden.json"
    content = json.dumps(change(json.loads(path.read_bytes()))).encode()
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    def list_anew(manifest: Manifest) -> None:
        (entry,) = (a for a in manifest["artefacts"] if a["path"] == "golden/golden.json")
        entry.update(sha256=digest, bytes=len(content))

    edit(root, list_anew)


def test_large_file_that_the_manifest_lists_is_refused_unread(small_bundle: Path) -> None:
    os.truncate(small_bundle / "model.int8.onnx", 20 << 30)
    edit(small_bundle, set_artefact(bytes=20 << 30))
    assert f"at most {MAX_BUNDLE_BYTES} are read" in refusal(small_bundle)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256"])
def test_endless_manifest_or_seal_is_refused_unread(small_bundle: Path, name: str) -> None:
    os.truncate(small_bundle / name, 20 << 30)
    assert f"{name} has more than {MAX_JSON_BYTES} bytes" in refusal(small_bundle)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deeply"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b'{"schema": -Infinity}', "-Infinity is not JSON"),
        (b'{"schema": "edge-bundle/1", "name": "\\ud800"}', "half of a UTF-16 surrogate pair"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"", "is not JSON"),
        (b"[]", "has schema None"),
        (b'{"schema": ["edge-bundle/1"]}', "has schema"),
    ],
)
def test_manifest_that_is_no_sane_json_says_so(
    small_bundle: Path, content: bytes, reason: str
) -> None:
    write_raw(small_bundle, content)
    assert reason in refusal(small_bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(classes="red"),
        lambda m: m.update(classes=["red", "red", "blue"]),
        lambda m: m.update(classes=["red", "gr\x1b[2Jeen", "blue"]),
        lambda m: m.update(classes=["red", 7, "blue"]),
        lambda m: m.update(classes=["red", "green", ""]),
        lambda m: m.update(name="two\nlines"),
        lambda m: m.update(version="x" * 5000),
        lambda m: m.update(unidentified_below="0.5"),
        lambda m: m.update(unidentified_below=10**400),
        lambda m: m.update(temperature=0.7),
        lambda m: m.update(temperature={"model.int8.onnx": "0.7"}),
        lambda m: m.update(temperature={"model.int8.onnx": True}),
        lambda m: m.update(temperature={"model.int8.onnx": 0}),
        lambda m: m.update(temperature={"model.int8.onnx": 1e-300}),
        lambda m: m.update(temperature={"model.int8.onnx": 10**400}),
        lambda m: m.update(temperature={"golden/golden.json": 0.7}),
        lambda m: m["input"].update(height=10**9),
        lambda m: m["input"].update(crop=10**400),
        lambda m: m.update(default_precision=["int8"]),
        lambda m: m.update(artefacts=m["artefacts"][:2]),
        lambda m: m.update(artefacts=[m["artefacts"][0], *m["artefacts"]]),
        lambda m: m.update(artefacts=[1, 2]),
        lambda m: m.update(artefacts={"path": "x"}),
        set_artefact(path="./model.int8.onnx"),
        set_artefact(path="golden/../../secret"),
        set_artefact(path="."),
        set_artefact(path="a\0b"),
        set_artefact(path="a" * 400),
        set_artefact(path=7),
        set_artefact(bytes="7"),
        set_artefact(bytes=-1),
        set_artefact(bytes=1e999),
        set_artefact(sha256=None),
        set_artefact(requires=["onnxruntime"]),
        set_artefact(requires={"backend": 3}),
        set_artefact(precision=3),
    ],
)
def test_manifest_with_a_wrong_value_is_one_line(
    small_bundle: Path, change: Callable[[Manifest], object]
) -> None:
    edit(small_bundle, change)
    assert "Convert the model again" in (said := refusal(small_bundle)) or "Copy" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda _: {"path": "golden/00.jpg"},
        lambda golden: [{**golden[0], "logits": [1, 2, 3]}],
        lambda golden: [{**golden[0], "logits": {"int8": [1, 2]}}],
        lambda golden: [{**golden[0], "logits": {"int8": [1, 1, 1]}}],
        lambda golden: [{**golden[0], "logits": {"int8": [1, "x", 1]}}],
        lambda golden: [{**golden[0], "path": "golden/unlisted.jpg"}],
        lambda golden: [{**golden[0], "path": "../../secret"}],
    ],
)
def test_golden_images_that_prove_nothing_are_refused(
    small_bundle: Path, change: Callable[[Any], Any]
) -> None:
    edit_golden(small_bundle, change)
    assert "manifest.json is damaged" in refusal(small_bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"library_version": 10},
        {"compute_capabilities": [8.9]},
        {"max_batch": 10**9},
        {"max_batch": "64"},
        {"os": None},
    ],
)
def test_record_of_a_plan_with_a_wrong_value_is_refused(change: Manifest) -> None:
    others = ("graph_sha256", "plan_bytes", "layers", "quantize_layers", "layer_precisions")
    record: Manifest = {
        **dict.fromkeys((*others, "gpu", "driver", "seconds")),
        "schema": "edge-plan/1",
        "library": "tensorrt",
        "library_version": "10.1",
        "precision": "int8",
        "compute_capabilities": ["8.9"],
        "portability": "same-gpu",
        "version_compatible": False,
        "os": "linux-x86_64",
        "max_batch": 64,
        "plan_sha256": "0",
        "flags": [],
        "notes": [],
    }
    assert PlanRecord.from_dict(record).max_batch == 64
    with pytest.raises(BundleError, match="record is damaged"):
        PlanRecord.from_dict({**record, **change})
