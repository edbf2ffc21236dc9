"""Compares range methods, layers and corrections by the divergence from FP32 on probe images.

The divergence is averaged over the classes that FP32 predicts, so that rare classes count equally.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from converters.accuracy import statistics as metrics
from converters.calibration.ranges import METHODS, Range, choose_ranges
from converters.int8.onnx_to_int8 import Int8Model
from converters.int8.target_session import open_as_target
from converters.layers.placement import Placement
from converters.search.task import SearchTask, build, quantize_on

PROBE_BATCH: Final = 8
# Correction reduces the divergence to between a half and a tenth, by a similar factor for all
# methods of a network. So a method that is worse by this factor before it is not tried after it.
NEAR: Final = 3.0
# In nats, on the probe images. Such a small divergence changes no label, so the methods are not
# compared after correction, which would take a minute.
NEGLIGIBLE: Final = 1e-4
# In nats, the divergence of a graph with NaN or infinite logits: larger than any real one, which
# is below 28 (the smallest probability used is 1e-12).
NO_NUMBERS: Final = 100.0


@dataclass(frozen=True, slots=True)
class LayerEffect:
    """Divergence of the probabilities in nats when only this layer is quantized."""

    name: str
    divergence: float


@dataclass(frozen=True, slots=True)
class Correction:
    """Divergence of a graph's probabilities in nats before and after correction.

    `is_kept`: whether the corrected graph was used.
    """

    before: float
    after: float
    is_kept: bool


def choose_method(
    task: SearchTask, placement: Placement
) -> tuple[str, dict[str, Range], dict[str, float]]:
    """The range method with the smallest divergence from FP32, its ranges, and all scores.

    Methods close to the best one are compared after correction, which here uses only the probe
    images. The others keep their score from before. If the best divergence is negligible, methods
    are not compared after correction.
    """
    histograms, symmetric = task.calibration.histograms, placement.symmetric
    candidates, scores = {}, {}
    for done, method in enumerate(METHODS, start=1):
        candidates[method] = choose_ranges(histograms, method, symmetric=symmetric)
        int8 = quantize_on(task, placement, candidates[method], None)
        scores[method] = probe_divergence(task, placement, int8)
        task.on_progress(f"range methods for {placement.name}", done, len(METHODS))
    least = min(scores.values())
    # Rounding errors can make the divergence of equal probabilities slightly negative.
    near = [method for method in METHODS if scores[method] <= NEAR * max(least, 0.0)]
    if least > NEGLIGIBLE and len(near) > 1:
        for method in near:
            int8 = quantize_on(task, placement, candidates[method], task.probe)
            # If correction makes it worse, `build_corrected` will take the uncorrected graph.
            scores[method] = min(scores[method], probe_divergence(task, placement, int8))
    best = min(near, key=lambda name: scores[name])
    return best, candidates[best], scores


def rank_layers(
    task: SearchTask, placement: Placement, ranges: dict[str, Range]
) -> list[LayerEffect]:
    """The quantized nodes, ordered by their effect on the probabilities, largest first.

    A node that is not quantized when all others are in float is left out: making it float alone
    has no effect.
    """
    names = quantize_on(task, placement, ranges, None).quantized_nodes
    in_float = _content(quantize_on(task, placement, ranges, None, kept_float=names))
    effects = []
    for done, name in enumerate(names, start=1):
        others = [other for other in names if other != name]
        int8 = quantize_on(task, placement, ranges, None, kept_float=others)
        if _content(int8) != in_float:
            effects.append(LayerEffect(name, probe_divergence(task, placement, int8)))
        task.on_progress(f"ranking layers for {placement.name}", done, len(names))
    return sorted(effects, key=lambda effect: effect.divergence, reverse=True)


def build_corrected(
    task: SearchTask,
    placement: Placement,
    ranges: dict[str, Range],
    *,
    kept_float: Collection[str] = (),
) -> tuple[Int8Model, Correction]:
    """The graph for a placement, with corrected layers unless it is clearly better without.

    Correction brings each layer's output closer to FP32's. Usually that brings the probabilities
    closer too, but not always.
    """
    plain, corrected = (
        build(task, placement, ranges, kept_float=kept_float, is_corrected=is_corrected)
        for is_corrected in (False, True)
    )
    before, after = (probe_divergence(task, placement, int8) for int8 in (plain, corrected))
    is_kept = not before + NEGLIGIBLE < after
    return corrected if is_kept else plain, Correction(before, after, is_kept)


def probe_divergence(task: SearchTask, placement: Placement, int8: Int8Model) -> float:
    """Mean over the classes of the divergence from FP32 on the probe images, in nats.

    Returns `NO_NUMBERS` if a logit is not finite.
    """
    session, probe = open_as_target(int8.model, placement), task.probe
    batches = (probe.images[i : i + PROBE_BATCH] for i in range(0, len(probe.images), PROBE_BATCH))
    logits = np.concatenate([session.infer(batch).logits for batch in batches])
    if not np.isfinite(logits).all():
        return NO_NUMBERS
    return metrics.mean_over_classes(metrics.divergence(probe.logits, logits), probe.predicted)


def _content(int8: Int8Model) -> bytes:
    return bytes(int8.model.SerializeToString(deterministic=True))
