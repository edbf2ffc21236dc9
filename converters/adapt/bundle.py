"""Writes the bundle of an adaptation, completely or not at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import edge
from converters.accuracy.comparison import confusion_unidentified, evidence_fields
from converters.accuracy.gate import check_fields
from converters.adapt.adapt import Adapted, AdaptedGraph
from converters.adapt.request import adapted_version
from converters.bundle.evidence_document import SCHEMA, evidence_summary
from converters.bundle.golden import add_golden
from converters.bundle.writer import BundleWriter, to_json
from converters.int8.graphs import FP16, FP32, GRAPHS, INT8_7BIT
from converters.report.page import render_report
from converters.report.thumbnails import thumbnails_of
from edge.files import atomic
from edge.manifest import (
    EVIDENCE_NAME,
    ROLE_EVIDENCE,
    ROLE_MODEL,
    ROLE_REFERENCE,
)
from edge.sidecar import now
from edge.trust.reference import REFERENCE_NAME

# What describes the parent's own weights and images, and is not true of the new bundle.
_NOT_TAKEN_OVER: Final = ("temperature", "times")


def write_adapted(adapted: Adapted) -> None:
    """Write the new bundle; the parent's folder is only read.

    Raises:
        StorageError: the target exists already, or the disk refuses.
    """
    evidence = evidence_of(adapted)
    request = adapted.request
    with atomic.new_directory(request.target, overwrite=request.overwrite) as folder:
        writer = BundleWriter(folder)
        for name, model in adapted.held().items():
            kind = GRAPHS[name]
            content = model.SerializeToString(deterministic=True)
            needs = dict(kind.requires)
            writer.add(kind.path, content, ROLE_MODEL, precision=kind.precision, requires=needs)
        _add_golden(writer, adapted)
        if adapted.laboratory.reference is not None:
            writer.add(REFERENCE_NAME, adapted.laboratory.reference.to_bytes(), ROLE_REFERENCE)
        writer.add(EVIDENCE_NAME, to_json(evidence), ROLE_EVIDENCE)
        facts = _facts(adapted, evidence)
        pictures = thumbnails_of(adapted.judging.validation.paths)
        shown = {**facts, "artefacts": writer.artefacts}
        strangest = thumbnails_of([path for path, _ in adapted.laboratory.strangest])
        report = render_report(evidence, shown, pictures, strangest)
        writer.add("evidence/report.html", report, ROLE_EVIDENCE)
        times = {"created": now().isoformat(timespec="seconds")}
        writer.finish({**facts, "artefacts": writer.artefacts, "times": times})


def evidence_of(adapted: Adapted) -> dict[str, Any]:
    """The new bundle's evidence; how its graphs were quantized is the parent's."""
    parent, judging = adapted.parents_evidence, adapted.judging
    validation, right = judging.validation, judging.fp32_accuracy()
    graphs = {GRAPHS[name].target: one for name, one in adapted.graphs.items()}
    fp16 = graphs.pop(FP16.target, None)
    made = {
        name: _graph_fields(parent["graphs"].get(name, {}), one) for name, one in graphs.items()
    }
    return {
        "schema": SCHEMA,
        "classes": list(validation.classes),
        "validation": {
            "origin": validation.origin,
            "images": len(validation.paths),
            "sha256": validation.sha256,
            "labelled": True,
            "thin_classes": validation.thin_classes(),
            "also_calibrated": 0,
        },
        "gate": asdict(judging.gate),
        "fp32": {"accuracy": None if right is None else right.to_dict()},
        "graphs": made,
        "not_made": {},
        **({FP16.target: _graph_fields(parent.get(FP16.target, {}), fp16)} if fp16 else {}),
        **_errors_fields(adapted),
        "adaptation": adaptation_fields(adapted),
        "laboratory": adapted.laboratory.evidence(),
    }


def _errors_fields(adapted: Adapted) -> dict[str, Any]:
    """How often each graph's label is right, wrong or none, for intervals with its errors."""
    judging = adapted.judging
    logits = {FP32.path: judging.fp32}
    logits |= {GRAPHS[name].path: one.evidence.candidate for name, one in adapted.graphs.items()}
    limit, temperature = judging.unidentified_below, adapted.temperature.value
    tables = {
        path: confusion_unidentified(judging.validation, rows, limit, temperature)
        for path, rows in logits.items()
    }
    return {"confusion_unidentified": {"unidentified_below": limit, "graphs": tables}}


def adaptation_fields(adapted: Adapted) -> dict[str, Any]:
    """How the last layer was made, and what it is worth."""
    cells, recipe = adapted.cells, adapted.recipe
    return {
        "cells": {
            "origin": cells.images.origin,
            "sha256": cells.images.sha256,
            "of_class": cells.counts(),
            "kept_back": int(cells.kept_back.sum()),
            "rows_of_parent": cells.absent(),
        },
        "fit": {"strength": recipe.strength, "from_parent": recipe.from_parent},
        "features_of": GRAPHS[adapted.served].path,
        "kept_back": {"parent": adapted.before.to_dict(), "new": adapted.after.to_dict()},
        "cross_validated": {
            "parent": adapted.crossed_before.to_dict(),
            "new": adapted.crossed.to_dict(),
        },
        "learning_curve": adapted.curve.to_dict(),
    }


def _graph_fields(of_parent: dict[str, Any], graph: AdaptedGraph) -> dict[str, Any]:
    checks = check_fields(graph.checks)
    return {
        **of_parent,
        "passed": graph.holds,
        "checks": checks,
        # Nothing was searched again, so that there is no other graph to compare with.
        **({"naive_checks": checks} if "naive_checks" in of_parent else {}),
        **evidence_fields(graph.evidence),
    }


def _add_golden(writer: BundleWriter, adapted: Adapted) -> None:
    """Golden images of the new laboratory, from the part kept back."""
    judging = adapted.judging
    logits = {FP32.name: judging.fp32}
    # Both graphs for CPUs share one entry, as in a conversion.
    for name, graph in adapted.graphs.items():
        if graph.holds and name != INT8_7BIT.name:
            logits[name] = graph.evidence.candidate
    add_golden(writer, judging, logits, adapted.laboratory)


def _facts(adapted: Adapted, evidence: dict[str, Any]) -> dict[str, Any]:
    parent, held = adapted.parent, adapted.held()
    kept = {k: v for k, v in parent.manifest.items() if k not in _NOT_TAKEN_OVER}
    precisions = {GRAPHS[name].precision for name in held}
    is_held = parent.default_precision in precisions
    fitted = adapted.temperature
    return {
        **kept,
        "version": adapted_version(parent.version, adapted.request.site),
        "default_precision": parent.default_precision if is_held else FP32.precision,
        "features": {"count": adapted.feature_count},
        "laboratory": adapted.laboratory.facts(),
        "adapted": {
            "site": adapted.request.site,
            "parent": {
                "name": parent.name,
                "version": parent.version,
                "sha256": parent.sha256,
            },
            **adaptation_fields(adapted),
        },
        "evidence": evidence_summary(evidence),
        "software": f"microscope-edge {edge.__version__}",
        **(
            {"temperature": {GRAPHS[name].path: fitted.value for name in held}}
            if fitted.is_fitted
            else {}
        ),
    }
