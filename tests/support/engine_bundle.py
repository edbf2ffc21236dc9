"""The bundle of `tests.support.small_bundle` with graphs for TensorRT."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edge.bundle import seal
from tests.support.small_bundle import colour_model

GRAPHS: dict[str, dict[str, Any]] = {
    "model.int8.trt.onnx": {
        "precision": "int8",
        "requires": {"backend": "tensorrt", "typing": "strong"},
    },
    "model.fp16.trt.onnx": {"precision": "fp16", "requires": {"backend": "tensorrt"}},
}


def add_tensorrt_graphs(root: Path, *, fp16: bytes | None = None) -> Path:
    """Add both graphs and their golden logits; `fp16` in place of the sound FP16 graph."""
    manifest = json.loads((root / "manifest.json").read_bytes())
    golden = json.loads((root / "golden/golden.json").read_bytes())
    for entry in golden:
        entry["logits"] |= dict.fromkeys(("int8.trt", "fp16.trt"), entry["logits"]["fp32"])
    contents = {
        "model.int8.trt.onnx": colour_model(),
        "model.fp16.trt.onnx": fp16 or colour_model(),
    }
    for path, content in contents.items():
        put(root, manifest, path, content, role="model", **GRAPHS[path])
    put(root, manifest, "golden/golden.json", json.dumps(golden).encode(), role="golden")
    write_manifest(root, manifest)
    return root


def put(root: Path, manifest: dict[str, Any], path: str, content: bytes, **facts: Any) -> None:
    """Write an artefact and list it in place of one of that path."""
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    kept = [entry for entry in manifest["artefacts"] if entry["path"] != path]
    entry = {"path": path, "sha256": digest, "bytes": len(content), **facts}
    manifest["artefacts"] = [*kept, entry]


def write_manifest(root: Path, manifest: dict[str, Any]) -> None:
    """Write manifest and seal."""
    content = json.dumps(manifest).encode()
    (root / "manifest.json").write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))
