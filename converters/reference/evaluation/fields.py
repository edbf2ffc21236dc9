"""An evaluation as JSON types: all figures, and the labels of each image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from converters.accuracy.statistics import CALIBRATION_BINS
from converters.reference.evaluation.evaluate import REJECTED, Judgement, Mask
from converters.reference.evaluation.graphs import REFERENCE
from converters.reference.evaluation.images import EvaluationImages
from edge.bundle import Bundle

SCHEMA: Final = "edge-evaluation/1"


def evaluation_fields(
    judgement: Judgement, bundle: Bundle, images: EvaluationImages
) -> dict[str, Any]:
    """All figures; file names are relative to the evaluated folder."""
    groups = judgement.groups()
    return {
        "schema": SCHEMA,
        "bundle": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "classes": list(judgement.classes),
        "unidentified_below": bundle.unidentified_below,
        "calibration_bins": CALIBRATION_BINS,
        "left_out": images.left_out,
        "classes_without_images": images.missing,
        "groups": {
            name: {g: _graph(judgement, g, group, bundle) for g in judgement.answers}
            for name, group in groups.items()
        },
        "paired_with_fp32": _paired(judgement, groups) if REFERENCE in judgement.answers else {},
        "images": [_image(judgement, i, images.origin) for i in range(len(judgement.files))],
    }


def _graph(judgement: Judgement, graph: str, group: Mask, bundle: Bundle) -> dict[str, Any]:
    error = judgement.calibration_error(graph, group)
    present = set(judgement.labels[group].tolist())
    return {
        "accuracy": judgement.accuracy(graph, group).to_dict(),
        "per_class": {
            name: judgement.accuracy(graph, group, c).to_dict()
            for c, name in enumerate(judgement.classes)
            if c in present
        },
        "identified": judgement.identified(graph, group, bundle.unidentified_below).to_dict(),
        "calibration_error": error and error.to_dict(),
        "confusion": judgement.confusion(graph, group),
    }


def _paired(judgement: Judgement, groups: dict[str, Mask]) -> dict[str, Any]:
    return {
        name: {
            graph: _pair(judgement, graph, group)
            for graph in judgement.answers
            if graph != REFERENCE
        }
        for name, group in groups.items()
    }


def _pair(judgement: Judgement, graph: str, group: Mask) -> dict[str, float | int]:
    pair = judgement.paired(REFERENCE, graph, group)
    return {
        "both_right": pair.both,
        "lost": pair.lost,
        "won": pair.won,
        "neither": pair.neither,
        "p_value": pair.p_value,
    }


def _image(judgement: Judgement, position: int, origin: Path) -> dict[str, Any]:
    file = judgement.files[position]
    known = {"kind": file.kind, "capture": file.capture}
    return {
        "file": named(file.path, origin),
        "class": file.cell_class,
        **{key: value for key, value in known.items() if value},
        "answers": {
            graph: {
                "class": _class(judgement, int(answers.predicted[position])),
                "confidence": round(float(answers.confidence[position]), 4),
            }
            for graph, answers in judgement.answers.items()
        },
    }


def named(path: Path, origin: Path) -> str:
    """A file's path relative to the evaluated folder."""
    return path.relative_to(origin).as_posix() if path.is_relative_to(origin) else path.name


def _class(judgement: Judgement, predicted: int) -> str | None:
    return None if predicted == REJECTED else judgement.classes[predicted]
