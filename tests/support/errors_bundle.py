"""A small bundle of the eight classes, whose evidence has tables of errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.bundle import seal
from edge.results.document.result import CELL_CLASSES
from tests.support.images import colour_jpeg
from tests.support.small_bundle import write_small_bundle

# In an order of its own, so that a reader must sort rows and columns.
CLASSES = tuple(sorted(CELL_CLASSES))


def perfect_rows(images: int) -> list[list[int]]:
    """A table without any error, with so many images of each class."""
    size = len(CLASSES)
    return [[images * (row == column) for column in range(size + 1)] for row in range(size)]


def evidence(graphs: Mapping[str, list[list[int]]]) -> dict[str, Any]:
    """An evidence with tables by file."""
    tables = {"unidentified_below": 0.5, "graphs": dict(graphs)}
    return {"schema": "edge-evidence/1", "classes": CLASSES, "confusion_unidentified": tables}


def write_errors_bundle(
    root: Path, evidence: Mapping[str, Any], more: Mapping[str, tuple[bytes, dict[str, Any]]]
) -> Path:
    """Write the bundle.

    Args:
        more: files by path, each with its content and the fields of the manifest.
    """
    write_small_bundle(root, lambda name: colour_jpeg(name, side_px=40))
    manifest = json.loads((root / "manifest.json").read_bytes())
    golden = json.loads((root / "golden/golden.json").read_bytes())
    for entry in golden:
        logits = {name: [*values, 0, 0, 0, 0, 0] for name, values in entry["logits"].items()}
        entry["logits"] = logits
    files = {
        "golden/golden.json": (json.dumps(golden).encode(), {"role": "golden"}),
        "evidence/evidence.json": (json.dumps(evidence).encode(), {"role": "evidence"}),
        **more,
    }
    kept = [one for one in manifest["artefacts"] if one["path"] not in files]
    for path, (content, facts) in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        kept.append({"path": path, "sha256": digest, "bytes": len(content), **facts})
    content = json.dumps({**manifest, "classes": CLASSES, "artefacts": kept}).encode()
    (root / "manifest.json").write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))
    return root
