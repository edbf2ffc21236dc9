"""Judges the confidence of every graph of a conversion on the labelled validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from converters.accuracy.comparison import Logits, confusion_unidentified
from converters.accuracy.confidence import Confidence, judge_confidence
from converters.int8.graphs import FP16, FP32, QUANTIZED
from converters.search.judging import Judging
from converters.targets.failure import Failure
from converters.targets.fp16_model import Fp16Model
from converters.targets.quantized import Quantized


@dataclass(frozen=True, slots=True)
class GraphConfidence:
    """A graph's confidence, and the logits (images, classes) that it was judged on."""

    logits: Logits
    found: Confidence


# By the bundle's file, such as `model.int8.onnx`; none without labels.
Confidences = dict[str, GraphConfidence]


def judge_confidences(
    judging: Judging, quantized: Quantized | None, fp16: Fp16Model | Failure
) -> Confidences:
    """Judge the graphs that were made, also those that the gate refused."""
    validation = judging.validation
    if not validation.is_labelled:
        return {}
    logits = {FP32.path: judging.fp32}
    results = quantized.results if quantized else {}
    logits |= {
        kind.path: results[kind.target].evidence.candidate
        for kind in QUANTIZED
        if kind.target in results
    }
    if isinstance(fp16, Fp16Model):
        logits[FP16.path] = fp16.evidence.candidate
    limit = judging.unidentified_below
    return {
        path: GraphConfidence(
            found, judge_confidence(found, validation.labels, validation.classes, limit)
        )
        for path, found in logits.items()
    }


def confidence_fields(judging: Judging, confidences: Confidences) -> dict[str, Any]:
    """By the bundle's file, how sure a graph is, and how often its label is right, wrong or none.

    Empty without labels.
    """
    if not confidences:
        return {}
    limit = judging.unidentified_below
    return {
        "confidence": {path: one.found.to_dict() for path, one in confidences.items()},
        "confusion_unidentified": {
            "unidentified_below": limit,
            "graphs": {
                path: confusion_unidentified(
                    judging.validation, one.logits, limit, one.found.temperature.value
                )
                for path, one in confidences.items()
            },
        },
    }


def manifest_temperatures(confidences: Confidences, held: set[str]) -> dict[str, float]:
    """The fitted temperatures of the graphs that the bundle holds, by their files."""
    return {
        path: one.found.temperature.value
        for path, one in confidences.items()
        if path in held and one.found.temperature.is_fitted
    }
