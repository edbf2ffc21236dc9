"""The bundle's evidence as JSON: all figures on which the accuracy gate decided, without times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.accuracy.comparison import evidence_fields
from converters.accuracy.gate import check_fields
from converters.calibration.histogram import HALF_BINS, Histogram
from converters.int8.graphs import FP16
from converters.search.judging import Judging
from converters.search.search import Solution
from converters.targets.attempt import Failure
from converters.targets.half_model import HalfModel
from converters.targets.quantized import Quantized

SCHEMA: Final = "edge-evidence/1"
# Number of activations whose ranges are shown, and of bars in each histogram.
WORST_TENSORS: Final = 6
BARS: Final = 64


def evidence_document(
    judging: Judging, quantized: Quantized | None, half: HalfModel | Failure
) -> dict[str, Any]:
    """`evidence/evidence.json`, schema `edge-evidence/1`."""
    validation = judging.validation
    fp32 = judging.fp32_accuracy()
    calibration = quantized.calibration if quantized else None
    histograms = calibration.histograms if calibration else {}
    solutions = quantized.solutions if quantized else {}
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
        "graphs": {name: _graph_fields(found, histograms) for name, found in solutions.items()},
        "not_made": _not_made(quantized, half),
        **_half_fields(half),
    }


def _not_made(quantized: Quantized | None, half: HalfModel | Failure) -> dict[str, str]:
    """By graph, why it could not be made. Graphs that were made and refused are not in it."""
    failed = dict(quantized.failed) if quantized else {}
    if isinstance(half, Failure):
        failed[FP16.target] = half
    return {name: failure.reason for name, failure in failed.items()}


def _half_fields(half: HalfModel | Failure) -> dict[str, Any]:
    if isinstance(half, Failure):
        return {}
    return {
        FP16.target: {
            "passed": half.holds,
            "checks": check_fields(half.checks),
            # Tensors beyond the range of FP16, with their largest magnitude on calibration images.
            "kept_float": _magnitudes(half.beyond.tensors),
            # Sums within an operator, by the operator's output.
            "sums_kept_float": _magnitudes(half.beyond.sums),
            **evidence_fields(half.evidence),
        },
    }


def _magnitudes(beyond: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in beyond.items()}


def _graph_fields(solution: Solution, histograms: dict[str, Histogram]) -> dict[str, Any]:
    return {
        "passed": solution.holds,
        "method": solution.method,
        "method_divergence": {k: round(v, 6) for k, v in solution.method_divergence.items()},
        # Mean over the classes on the probe images, of the graph that was written.
        "layer_correction": {
            "divergence_before": round(solution.correction.before, 6),
            "divergence_after": round(solution.correction.after, 6),
            "kept": solution.correction.is_kept,
        },
        "int8_share_of_macs": round(solution.int8_share, 4),
        "rest_in": "fp16" if solution.placement.half_floats else "fp32",
        "checks": check_fields(solution.checks),
        "naive_checks": check_fields(solution.naive_checks),
        "layer_effects": [
            {"name": effect.name, "divergence": round(effect.divergence, 6)}
            for effect in solution.effects
        ],
        "rescue_steps": [asdict(step) for step in solution.steps],
        "worst_tensors": worst_tensors(solution, histograms),
        **evidence_fields(solution.evidence),
    }


def worst_tensors(solution: Solution, histograms: dict[str, Histogram]) -> list[dict[str, Any]]:
    """The activations with the largest quantization noise, with their histograms."""
    errors = {
        name: quantization_noise(histogram, solution.ranges[name])
        for name, histogram in histograms.items()
    }
    worst = sorted(errors, key=lambda name: errors[name], reverse=True)[:WORST_TENSORS]
    return [
        {
            "name": name,
            "range": [round(v, 6) for v in solution.ranges[name]],
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
