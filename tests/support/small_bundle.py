"""A whole small bundle, whose model tells red, green and blue images apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import seal
from edge.manifest import ROLE_REFERENCE
from edge.trust.reference import REFERENCE_NAME
from tests.support.images import COLOURS


def colour_model(*, has_features: bool = False) -> bytes:
    """An ONNX model whose logits are the mean of each channel: uint8 (n, 16, 16, 3) to (n, 3).

    Its features are the means before they are scaled.
    """
    mean = "features" if has_features else "mean"
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], [mean], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", [mean, "scale"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 16, 16, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3])
            for name in (["logits", "features"] if has_features else ["logits"])
        ],
        [numpy_helper.from_array(np.asarray(0.1, np.float32), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def write_small_bundle(
    root: Path,
    jpeg: Callable[[str], bytes],
    *,
    reference: bytes | None = None,
    scores: Sequence[dict[str, float]] = (),
) -> Path:
    """Write the bundle.

    Args:
        reference: of a laboratory; the graphs have features then.
        scores: of familiarity, for each golden image by model file.
    """
    files: dict[str, tuple[bytes, dict[str, Any]]] = {}
    if reference is not None:
        files[REFERENCE_NAME] = (reference, {"role": ROLE_REFERENCE})
    for precision in ("fp32", "int8"):
        facts = {
            "role": "model",
            "precision": precision,
            "requires": {"backend": "onnxruntime"},
        }
        files[f"model.{precision}.onnx"] = (colour_model(has_features=reference is not None), facts)
    golden = []
    for number, name in enumerate(COLOURS):
        path = f"golden/{number:02}.jpg"
        files[path] = (jpeg(name), {"role": "golden"})
        logits = [20.0 if other == name else 4.0 for other in COLOURS]
        entry = {"path": path, "logits": {"fp32": logits, "int8": logits}}
        golden.append({**entry, **({"familiarity": scores[number]} if scores else {})})
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
