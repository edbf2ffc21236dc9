"""Evidence and facts of a conversion with everything that a report can show."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from typing import Any

import numpy as np

from converters.accuracy.confidence import judge_confidence
from edge.shares.share import Share

HOSTILE = '<script>alert("x")</script>\'"&'
CLASSES = ["neutrophil", "ig", HOSTILE, "platelet"]
CONFUSION = {
    "fp32": [[70, 0, 0, 0], [2, 28, 0, 0], [0, 0, 59, 1], [0, 0, 0, 0]],
    "int8": [[66, 4, 0, 0], [1, 29, 0, 0], [0, 0, 57, 3], [0, 0, 0, 0]],
}
TOTAL = 160


FACTS: dict[str, Any] = {
    "name": "cells8",
    "version": "1.0.0",
    "input": {"height": 160, "width": 160, "channels": "rgb", "resize": "area", "crop": 0.65},
    "unidentified_below": 0.5,
    "licence": "Apache-2.0",
    "credit": "Images from https://example.org/cells",
    "source": {"file": f"{HOSTILE}.pt", "kind": "state_dict", "sha256": "b2" * 32},
    "quantization": {
        "calibration": {"origin": "unlabelled", "images": 256, "sha256": "c3" * 32},
        "graphs": {"x86": {"float_layers": ["/blocks/0/Conv", "/blocks/1/Conv"]}},
    },
    "artefacts": [
        {
            "path": "model.int8.onnx",
            "role": "model",
            "sha256": "d4" * 32,
            "bytes": 3_799_742,
            "precision": "int8",
            "requires": {"backend": "onnxruntime", "cpu": "vnni"},
        },
        {"path": "golden/00.jpg", "role": "golden", "sha256": "e5" * 32, "bytes": 1},
    ],
    "software": "microscope-edge 0.1.0",
    "versions": {"python": "3.11.7", "onnx": "1.23.2"},
    "times": {"created": "2026-11-23T19:15:30+00:00"},
    "default_precision": "int8",
}


def shares(table: list[list[int]]) -> list[Share]:
    return [Share(row[i], sum(row)) for i, row in enumerate(table)]


def class_share(index: int, precision: str) -> dict[str, Any]:
    return shares(CONFUSION[precision])[index].to_dict()


def both(make: Callable[[str], Any]) -> dict[str, Any]:
    return {precision: make(precision) for precision in ("fp32", "int8")}


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def disagreement(number_: int, label: str | None, fp32: str, int8: str) -> dict[str, Any]:
    return {
        "file": f"cell {number_:03}.jpg",
        "label": label,
        "fp32": fp32,
        "int8": int8,
        "fp32_confidence": 0.9123,
        "int8_confidence": 0.5512,
    }


def disagreements(count: int) -> list[dict[str, Any]]:
    a, b, c, d = CLASSES
    # The first seven make FP32's confusion table INT8's.
    kinds = [*[(a, a, b)] * 4, *[(c, c, d)] * 2, (b, a, b), (c, b, a)]
    found = [disagreement(i, *kind) for i, kind in enumerate(islice(cycle(kinds), count))]
    found[0]["file"] = f"{HOSTILE}.jpg"
    return found


def checks(*, holds: bool) -> list[dict[str, Any]]:
    drop = {"name": "accuracy drop", "found": 3.125, "limit": 0.5, "holds": holds}
    agreement = {"name": "agreement", "found": 0.95, "limit": 0.99, "holds": holds}
    return [
        {**drop, "text": "INT8 loses 3.12 points of accuracy, at most 0.5 are allowed"},
        {**agreement, "text": "INT8 and FP32 agree on 95.0%, at least 99.0% is needed"},
        {"name": "divergence", "found": 4e-5, "limit": 0.05, "holds": True, "text": "fine"},
        {
            "name": "calibration error rise",
            "found": -6e-5,
            "limit": 0.03,
            "holds": True,
            "text": "",
        },
        {"name": "a check to come", "found": 1.0, "limit": 2.0, "holds": True, "text": ""},
    ]


def tensor(name: str) -> dict[str, Any]:
    counts = [1, 0, 40, 900, 120_000, 3_000_000, 8_000, 20, 3, 1, 0, 0]
    histogram = {"start": -6.0, "bar_width": 2.0, "counts": counts}
    return {
        "name": name,
        "range": [-3.5, 9.25],
        "seen": [-5.9, 13.7],
        "noise": 0.0421,
        "histogram": histogram,
    }


def graph(*, passed: bool, disagreeing: int = 7) -> dict[str, Any]:
    layers = [f"/blocks/{i}/Conv" for i in range(25)]
    return {
        "passed": passed,
        "method": "percentile 99.99",
        "method_divergence": {"max": 0.0035, "percentile 99.99": 0.0018, "entropy": 0.49},
        "int8_share_of_macs": 0.83,
        "checks": checks(holds=passed),
        "naive_checks": checks(holds=False),
        "layer_effects": [
            {"name": name, "divergence": 0.5 / (i + 1)} for i, name in enumerate(layers)
        ],
        "rescue_steps": [
            {"kept_float": layers[0], "missed": ["accuracy drop"], "int8_share": 0.91},
            {"kept_float": layers[1], "missed": [], "int8_share": 0.83},
        ],
        "worst_tensors": [tensor(f"/blocks/{i}/<output>") for i in range(6)],
        "agreement": Share(TOTAL - disagreeing, TOTAL).to_dict(),
        "divergence": estimate(0.02),
        "disagreements": disagreements(disagreeing),
        "accuracy": both(
            lambda p: Share(sum(s.count for s in shares(CONFUSION[p])), 160).to_dict()
        ),
        "drop_points": 3.125,
        "paired_p_value": 0.21,
        "balanced_accuracy": both(lambda _: estimate(0.95)),
        "balanced_drop_points": estimate(2.0),
        "calibration_error": both(lambda _: estimate(0.04)),
        "worst_class": both(lambda _: HOSTILE),
        "per_class": {
            name: {
                **both(partial(class_share, i)),
                "lost": 4,
                "gained": 1,
                "drop_interval_points": [-1.25, 6.5],
            }
            for i, name in enumerate(CLASSES)
        },
        "layer_correction": {"divergence_before": 0.0022, "divergence_after": 0.0008},
        "confusion": copy.deepcopy(CONFUSION),
    }


def confidence(scale: float) -> dict[str, Any]:
    """Of a model whose logits were multiplied; its label of the class with no images is wrong."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, TOTAL)
    logits = rng.normal(0, 1, (TOTAL, len(CLASSES)))
    logits[np.arange(TOTAL), labels] += 4
    logits[:12, 3] = 9
    found = judge_confidence((scale * logits).astype(np.float32), labels, tuple(CLASSES), 0.5)
    return found.to_dict()


def laboratory() -> dict[str, Any]:
    """As `Laboratory.evidence` in converters/familiarity gives it."""
    blurred = {"reason": "blurred", "text": "a Gaussian of 2 px"}
    missed = {"reason": "stain", "text": "blue 5 % brighter"}
    return {
        "origin": "unlabelled",
        "images": 791,
        "sha256": "f6" * 32,
        "features": 1280,
        "components": 64,
        "limits": {"model.fp32.onnx": 2.4123, "model.int8.onnx": 2.3501},
        "flagged": Share(8, 791).to_dict(),
        "faults": [
            {**blurred, "noticed": Share(38, 40).to_dict(), "named": Share(36, 38).to_dict()},
            {**missed, "noticed": Share(0, 40).to_dict(), "named": Share(0, 0).to_dict()},
        ],
        "strangest": [
            {"file": f"{HOSTILE}.jpg", "score": 5.125},
            {"file": "cell 001.jpg", "score": 4.5},
        ],
    }


def whole_evidence() -> dict[str, Any]:
    """A conversion with everything: rescue, a refused graph, lost images, an empty class."""
    return {
        "schema": "edge-evidence/1",
        "classes": list(CLASSES),
        "validation": {
            "origin": "val",
            "images": TOTAL,
            "sha256": "a1" * 32,
            "labelled": True,
        },
        "gate": {"max_drop_points": 0.5},
        "fp32": {"accuracy": Share(157, TOTAL).to_dict()},
        "graphs": {
            "x86": graph(passed=True),
            "tensorrt": {**graph(passed=False, disagreeing=60), "rescue_steps": []},
        },
        "confidence": {"model.fp32.onnx": confidence(1.0), "model.int8.onnx": confidence(0.4)},
        "laboratory": laboratory(),
    }


def without_labels(evidence: dict[str, Any]) -> dict[str, Any]:
    """The same without labels, as `evidence_fields` gives it."""
    evidence["validation"]["labelled"] = False
    evidence["fp32"]["accuracy"] = None
    del evidence["confidence"]
    kept = ("drop_points", "paired_p_value", "per_class", "confusion", "worst_class")
    for found in evidence["graphs"].values():
        measures = ("accuracy", "balanced_accuracy", "balanced_drop_points", "calibration_error")
        for key in (*kept, *measures):
            del found[key]
        for image in found["disagreements"]:
            image["label"] = None
    return evidence
