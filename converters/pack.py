"""Write the bundle: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np

import edge
from converters.agreement import ComparedImage, Evidence
from converters.card import ModelCard
from converters.checkpoint import SourceModel
from edge import atomic
from edge.bundle import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    ROLE_EVIDENCE,
    ROLE_GOLDEN,
    ROLE_MODEL,
    SCHEMA,
)
from edge.sidecar import now

# Enough to show every class twice, few enough to run within a tenth of a second at start.
GOLDEN_COUNT: Final = 16
_PACKAGES: Final = (
    "microscope-edge",
    "torch",
    "onnx",
    "onnxruntime",
    "numpy",
    "opencv-python-headless",
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle. `models` maps a precision to a serialised ONNX model."""

    card: ModelCard
    source: SourceModel
    models: dict[str, bytes]
    default_precision: str
    quantization: dict[str, Any] | None
    evidence: Evidence


@dataclass(slots=True)
class _Staging:
    """The folder that becomes the bundle, and the manifest entries of what it holds."""

    folder: Path
    artefacts: list[dict[str, Any]]

    def add(self, path: str, content: bytes, role: str, **facts: Any) -> None:
        """Write one artefact and list it."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_file(target, content)
        digest = hashlib.sha256(content).hexdigest()
        self.artefacts.append(
            {"path": path, "role": role, "sha256": digest, "bytes": len(content), **facts}
        )


def write_bundle(target: Path, contents: Contents, *, overwrite: bool) -> None:
    """Write `target`, a folder NAME.edge.

    Raises:
        StorageError: it exists already, or the disk refuses.
    """
    with atomic.new_directory(target, overwrite=overwrite) as folder:
        staging = _Staging(folder, [])
        for precision, content in contents.models.items():
            staging.add(
                f"model.{precision}.onnx",
                content,
                ROLE_MODEL,
                precision=precision,
                requires={"backend": "onnxruntime"},
            )
        _add_golden(staging, contents)
        evidence = contents.evidence.to_dict()
        staging.add("evidence/agreement.json", _json(evidence), ROLE_EVIDENCE)
        manifest = _manifest(contents, staging.artefacts, evidence)
        atomic.write_file(folder / MANIFEST_NAME, _json(manifest))


def choose_golden(evidence: Evidence, count: int = GOLDEN_COUNT) -> list[ComparedImage]:
    """Images on which both models are surest, spread over the predicted classes.

    A sure image keeps its label on any sound machine, so a changed label means a broken one.
    """
    by_class: dict[int, list[ComparedImage]] = {}
    for image in sorted(evidence.images, key=_margin, reverse=True):
        if image.agrees:
            by_class.setdefault(int(image.fp32.argmax()), []).append(image)
    chosen: list[ComparedImage] = []
    while len(chosen) < count and any(by_class.values()):
        chosen.extend(images.pop(0) for images in by_class.values() if images)
    return chosen[:count]


def _margin(image: ComparedImage) -> float:
    margins = (np.diff(np.sort(logits)[-2:])[0] for logits in (image.fp32, image.int8))
    return float(min(margins))


def _add_golden(staging: _Staging, contents: Contents) -> None:
    entries = []
    for number, image in enumerate(choose_golden(contents.evidence)):
        path = f"golden/{number:02}{image.path.suffix.lower()}"
        staging.add(path, image.path.read_bytes(), ROLE_GOLDEN)
        logits = {"fp32": image.fp32, "int8": image.int8}
        kept = {p: [round(float(v), 5) for v in logits[p]] for p in contents.models}
        entries.append({"path": path, "logits": kept})
    staging.add(GOLDEN_NAME, _json(entries), ROLE_GOLDEN)


def _manifest(
    contents: Contents, artefacts: list[dict[str, Any]], evidence: dict[str, Any]
) -> dict[str, Any]:
    card, source = contents.card, contents.source
    return {
        "schema": SCHEMA,
        "name": card.name,
        "version": card.version,
        "classes": list(card.classes),
        "input": card.input.to_dict(),
        "unidentified_below": card.unidentified_below,
        "default_precision": contents.default_precision,
        "licence": card.licence,
        "credit": card.source,
        "source": {"file": source.path.name, "kind": str(source.kind), "sha256": source.sha256},
        "quantization": contents.quantization,
        "evidence": {k: v for k, v in evidence.items() if k not in ("per_class", "disagreements")},
        "artefacts": artefacts,
        "created": now().isoformat(timespec="seconds"),
        "software": f"microscope-edge {edge.__version__}",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _json(values: Any) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
