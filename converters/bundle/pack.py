"""Writes the bundle, completely or not at all."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import edge
from converters.bundle.confidences import Confidences, manifest_temperatures
from converters.bundle.evidence_document import evidence_document, evidence_summary
from converters.bundle.golden import add_golden
from converters.bundle.writer import BundleWriter, to_json
from converters.familiarity.laboratory import Laboratory
from converters.features.given import GivenFeatures
from converters.inputs.card import ModelCard
from converters.int8.graphs import FP16, FP32, GRAPHS, INT8, INT8_TENSORRT, INT8_TENSORRT8
from converters.loading.checkpoint import SourceModel
from converters.report.page import render_report
from converters.report.thumbnails import thumbnails_of
from converters.search.judging import Judging
from converters.targets.failure import Failure
from converters.targets.fp16_model import Fp16Model
from converters.targets.quantized import Quantized
from edge.files import atomic
from edge.manifest import (
    EVIDENCE_NAME,
    ROLE_EVIDENCE,
    ROLE_MODEL,
    ROLE_REFERENCE,
    SCHEMA,
)
from edge.sidecar import now
from edge.trust.reference import REFERENCE_NAME

_PACKAGES: Final = (
    *("microscope-edge", "torch", "onnx", "onnxruntime", "numpy"),
    *("timm", "torchvision", "transformers"),
)


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that goes into a bundle.

    `models` maps a name to a serialised ONNX model. `fastest` names the fastest of them on this
    machine; its precision becomes the bundle's default.
    """

    card: ModelCard
    source: SourceModel
    models: dict[str, bytes]
    fastest: str
    judging: Judging
    quantized: Quantized | None
    fp16: Fp16Model | Failure
    confidences: Confidences
    features: GivenFeatures
    laboratory: Laboratory


def write_bundle(target: Path, contents: Contents, *, overwrite: bool) -> None:
    """Write `target`, a folder NAME.edge.

    Raises:
        StorageError: it exists already, or the disk refuses.
    """
    evidence = {
        **evidence_document(
            contents.judging, contents.quantized, contents.fp16, contents.confidences
        ),
        "laboratory": contents.laboratory.evidence(),
    }
    with atomic.new_directory(target, overwrite=overwrite) as folder:
        writer = BundleWriter(folder)
        for name, content in contents.models.items():
            kind = GRAPHS[name]
            needs = dict(kind.requires)
            writer.add(kind.path, content, ROLE_MODEL, precision=kind.precision, requires=needs)
        _add_golden(writer, contents)
        if reference := contents.laboratory.reference:
            writer.add(REFERENCE_NAME, reference.to_bytes(), ROLE_REFERENCE)
        writer.add(EVIDENCE_NAME, to_json(evidence), ROLE_EVIDENCE)
        facts = _facts(contents, evidence)
        pictures = thumbnails_of(contents.judging.validation.paths)
        shown = {**facts, "artefacts": writer.artefacts}
        strangest = thumbnails_of([path for path, _ in contents.laboratory.strangest])
        report = render_report(evidence, shown, pictures, strangest)
        writer.add("evidence/report.html", report, ROLE_EVIDENCE)
        manifest = {
            **facts,
            "artefacts": writer.artefacts,
            # These depend on the machine and the time, not only on the inputs.
            "default_precision": GRAPHS[contents.fastest].precision,
            "times": _times(contents.quantized),
        }
        writer.finish(manifest)


def _add_golden(writer: BundleWriter, contents: Contents) -> None:
    judging = contents.judging
    logits = {FP32.name: judging.fp32}
    results = contents.quantized.results if contents.quantized else {}
    # On a CPU a session compares with the logits of `int8`, which both graphs for CPUs share.
    # TensorRT compares with those of `int8.trt` or `fp16.trt`.
    for kind in (INT8, INT8_TENSORRT, INT8_TENSORRT8):
        if kind.name in contents.models:
            logits[kind.name] = results[kind.target].evidence.candidate
    if FP16.name in contents.models and isinstance(contents.fp16, Fp16Model):
        logits[FP16.name] = contents.fp16.evidence.candidate
    add_golden(writer, judging, logits, contents.laboratory)


def _facts(contents: Contents, evidence: dict[str, Any]) -> dict[str, Any]:
    """The fields of the manifest that depend only on the inputs, not on time or load."""
    card, source = contents.card, contents.source
    return {
        "schema": SCHEMA,
        "name": card.name,
        "version": card.version,
        "classes": list(card.classes),
        "input": card.input.to_dict(),
        "unidentified_below": card.unidentified_below,
        "temperature": manifest_temperatures(
            contents.confidences, {GRAPHS[name].path for name in contents.models}
        ),
        "licence": card.licence,
        "credit": card.source,
        "source": {
            "file": source.path.name,
            "kind": str(source.kind),
            "sha256": source.sha256,
            **_parts(source),
            **({"architecture": str(card.architecture)} if card.architecture else {}),
            "sandbox": source.sandbox,
            **source.facts,
        },
        "features": contents.features.facts(),
        "laboratory": contents.laboratory.facts(),
        "quantization": _quantization_facts(contents.quantized),
        "evidence": evidence_summary(evidence),
        "software": f"microscope-edge {edge.__version__}",
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _parts(source: SourceModel) -> dict[str, Any]:
    """The name and hash of each file, for weights in several files."""
    if not source.parts:
        return {}
    return {"parts": [{"file": name, "sha256": digest} for name, digest in source.parts]}


def _quantization_facts(quantized: Quantized | None) -> dict[str, Any] | None:
    if quantized is None:
        return None
    return {
        "calibration": {
            "origin": quantized.origin,
            "images": quantized.calibration.image_count,
            "sha256": quantized.calibration.images_sha256,
        }
        if quantized.calibration
        else None,
        "graphs": {
            name: {
                "passed": found.holds,
                "method": found.method,
                "int8_share_of_macs": round(found.int8_share, 4),
                "quantized_layers": len(found.int8.quantized_layers),
                "float_layers": list(found.int8.float_layers),
                "kept_float_by_rescue": found.kept_float,
            }
            for name, found in quantized.results.items()
        },
    }


def _times(quantized: Quantized | None) -> dict[str, Any]:
    times: dict[str, Any] = {"created": now().isoformat(timespec="seconds")}
    for name, found in quantized.results.items() if quantized else ():
        times[f"{name}_seconds"] = round(found.seconds, 1)
    return times


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
