"""The bundle's evidence as JSON: all figures on which the accuracy gate decided, without times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.accuracy.comparison import evidence_fields
from converters.accuracy.gate import check_fields
from converters.bundle.confidences import Confidences, confidence_fields
from converters.calibration.histogram import HALF_BINS, Histogram
from converters.int8.graphs import FP16
from converters.search.judging import Judging
from converters.search.search import SearchResult
from converters.targets.failure import Failure
from converters.targets.fp16_model import Fp16Model
from converters.targets.quantized import Quantized

SCHEMA: Final = "edge-evidence/1"
# Number of activations whose ranges are shown, and of bars in each histogram.
WORST_TENSORS: Final = 6
BARS: Final = 64


def evidence_document(
    judging: Judging,
    quantized: Quantized | None,
    fp16: Fp16Model | Failure,
    confidences: Confidences,
) -> dict[str, Any]:
    """`evidence/evidence.json`, schema `edge-evidence/1`."""
    validation = judging.validation
    fp32 = judging.fp32_accuracy()
    calibration = quantized.calibration if quantized else None
    histograms = calibration.histograms if calibration else {}
    results = quantized.results if quantized else {}
    return {
        "schema": SCHEMA,
        "classes": list(validation.classes),
        "validation": {
            "origin": validation.origin,
            "images": len(validation.paths),
            "sha256": validation.sha256,
            "labelled": validation.is_labelled,
            "thin_classes": validation.thin_classes(),
            "also_calibrated": quantized.shared_images if quantized else 0,
        },
        "gate": asdict(judging.gate),
        "fp32": {"accuracy": None if fp32 is None else fp32.to_dict()},
        "graphs": {name: _graph_fields(found, histograms) for name, found in results.items()},
        "not_made": _not_made(quantized, fp16),
        **_fp16_fields(fp16),
        **confidence_fields(judging, confidences),
    }


def _not_made(quantized: Quantized | None, fp16: Fp16Model | Failure) -> dict[str, str]:
    """By graph, why it could not be made. Graphs that were made and refused are not in it."""
    failed = dict(quantized.failed) if quantized else {}
    if isinstance(fp16, Failure):
        failed[FP16.target] = fp16
    return {name: failure.reason for name, failure in failed.items()}


def _fp16_fields(fp16: Fp16Model | Failure) -> dict[str, Any]:
    if isinstance(fp16, Failure):
        return {}
    return {
        FP16.target: {
            "passed": fp16.holds,
            "checks": check_fields(fp16.checks),
            # Tensors beyond the range of FP16, with their largest magnitude on calibration images.
            "kept_float": _magnitudes(fp16.out_of_range.tensors),
            # Sums within an operator, by the operator's output.
            "sums_kept_float": _magnitudes(fp16.out_of_range.sums),
            **evidence_fields(fp16.evidence),
        },
    }


def _magnitudes(out_of_range: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in out_of_range.items()}


def _graph_fields(result: SearchResult, histograms: dict[str, Histogram]) -> dict[str, Any]:
    return {
        "passed": result.holds,
        "method": result.method,
        "method_divergence": {k: round(v, 6) for k, v in result.method_divergence.items()},
        # Mean over the classes on the probe images, of the graph that was written.
        "layer_correction": {
            "divergence_before": round(result.correction.before, 6),
            "divergence_after": round(result.correction.after, 6),
            "kept": result.correction.is_kept,
        },
        "int8_share_of_macs": round(result.int8_share, 4),
        "rest_in": "fp16" if result.placement.half_floats else "fp32",
        "checks": check_fields(result.checks),
        "naive_checks": check_fields(result.naive_checks),
        "layer_effects": [
            {"name": effect.name, "divergence": round(effect.divergence, 6)}
            for effect in result.effects
        ],
        "rescue_steps": [asdict(step) for step in result.steps],
        "worst_tensors": worst_tensors(result, histograms),
        **evidence_fields(result.evidence),
    }


def worst_tensors(result: SearchResult, histograms: dict[str, Histogram]) -> list[dict[str, Any]]:
    """The activations with the largest quantization noise, with their histograms."""
    errors = {
        name: quantization_noise(histogram, result.ranges[name])
        for name, histogram in histograms.items()
    }
    worst = sorted(errors, key=lambda name: errors[name], reverse=True)[:WORST_TENSORS]
    return [
        {
            "name": name,
            "range": [round(v, 6) for v in result.ranges[name]],
            "seen": [round(histograms[name].low, 6), round(histograms[name].high, 6)],
            "noise": round(errors[name], 6),
            "histogram": _bars(histograms[name]),
        }
        for name in worst
    ]


def quantization_noise(histogram: Histogram, range_: tuple[float, float]) -> float:
    """Root mean square of the 8-bit rounding error, divided by that of the values."""
    low, high = range_
    step = max((high - low) / 255, 1e-12)
    values, counts = histogram.centres, histogram.counts
    quantized = np.clip(np.rint((values - low) / step), 0, 255) * step + low
    error = (counts * (values - quantized) ** 2).sum()
    size = (counts * values**2).sum()
    return float(np.sqrt(error / max(size, 1e-12)))


def _bars(histogram: Histogram) -> dict[str, Any]:
    """The non-empty part of a histogram in at most `BARS` bars."""
    used = np.flatnonzero(histogram.counts)
    first, last = int(used[0]), int(used[-1]) + 1
    per_bar = -(-(last - first) // BARS)
    padded = np.zeros(per_bar * BARS, dtype=np.int64)
    padded[: last - first] = histogram.counts[first:last]
    counts: NDArray[np.int64] = padded.reshape(BARS, per_bar).sum(axis=1)
    return {
        "start": round((first - HALF_BINS) * histogram.width, 6),
        "bar_width": round(per_bar * histogram.width, 8),
        "counts": [int(n) for n in counts],
    }


def evidence_summary(evidence: dict[str, Any]) -> dict[str, Any]:
    """The part of the evidence that the manifest repeats."""
    kept = ("agreement", "divergence", "accuracy", "drop_points", "paired_p_value", "passed")
    graphs = {
        name: {key: found[key] for key in kept if key in found}
        for name, found in {**evidence["graphs"], FP16.target: evidence.get(FP16.target)}.items()
        if found
    }
    copied = {key: evidence[key] for key in ("validation", "fp32", "not_made")}
    return {**copied, "graphs": graphs}
