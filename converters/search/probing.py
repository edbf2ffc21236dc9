"""Compare range methods, layers and corrections by how far a graph's probabilities are from FP32's.

Every class that FP32 finds among the probe images weighs the same, so that a rare one counts.
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
from converters.search.problem import Problem, build, quantize_on

PROBE_BATCH: Final = 8
# Correction takes the divergence to between a half and a tenth, much alike for every method of a
# network: a method this much worse before it is not the best one after it.
NEAR: Final = 3.0
# Nats, on the probe images: no label changes for so little, and correcting every method to compare
# them takes a minute.
NEGLIGIBLE: Final = 1e-4
# Nats, of a graph that gives NaN or infinity: worse than any that gives numbers, of which none
# reaches 28 (the smallest probability that counts is 1e-12).
NO_NUMBERS: Final = 100.0


@dataclass(frozen=True, slots=True)
class LayerEffect:
    """Divergence of the probabilities, in nats, when this layer alone is quantized."""

    name: str
    divergence: float


@dataclass(frozen=True, slots=True)
class Correction:
    """Divergence of a graph's probabilities, in nats, before and after correction.

    `is_kept` says whether the corrected graph was taken.
    """

    before: float
    after: float
    is_kept: bool


def choose_method(
    problem: Problem, placement: Placement
) -> tuple[str, dict[str, Range], dict[str, float]]:
    """The range method whose graph diverges least from FP32, with its ranges and all scores.

    Methods that come near the best one are compared after the correction, which the probe
    images alone give here; the others keep their score from before it. Where the best one does next
    to nothing before it, it is taken as it is.
    """
    histograms, symmetric = problem.calibration.histograms, placement.symmetric
    candidates, scores = {}, {}
    for done, method in enumerate(METHODS, start=1):
        candidates[method] = choose_ranges(histograms, method, symmetric=symmetric)
        int8 = quantize_on(problem, placement, candidates[method], None)
        scores[method] = probe_divergence(problem, placement, int8)
        problem.on_progress(f"range methods for {placement.name}", done, len(METHODS))
    least = min(scores.values())
    # The divergence of equal probabilities is now and then a rounding error below zero.
    near = [method for method in METHODS if scores[method] <= NEAR * max(least, 0.0)]
    if least > NEGLIGIBLE and len(near) > 1:
        for method in near:
            int8 = quantize_on(problem, placement, candidates[method], problem.probe)
            # Where the correction makes it worse, the plain graph is the one that is taken.
            scores[method] = min(scores[method], probe_divergence(problem, placement, int8))
    best = min(near, key=lambda name: scores[name])
    return best, candidates[best], scores


def rank_layers(
    problem: Problem, placement: Placement, ranges: dict[str, Range]
) -> list[LayerEffect]:
    """Every quantized node by its effect on the probabilities, the worst first.

    Nodes that stay in float when they alone are quantized are left out: each would be judged, and
    put back, for nothing.
    """
    names = quantize_on(problem, placement, ranges, None).quantized_nodes
    in_float = _content(quantize_on(problem, placement, ranges, None, kept_float=names))
    effects = []
    for done, name in enumerate(names, start=1):
        others = [other for other in names if other != name]
        int8 = quantize_on(problem, placement, ranges, None, kept_float=others)
        if _content(int8) != in_float:
            effects.append(LayerEffect(name, probe_divergence(problem, placement, int8)))
        problem.on_progress(f"ranking layers for {placement.name}", done, len(names))
    return sorted(effects, key=lambda effect: effect.divergence, reverse=True)


def build_corrected(
    problem: Problem,
    placement: Placement,
    ranges: dict[str, Range],
    *,
    kept_float: Collection[str] = (),
) -> tuple[Int8Model, Correction]:
    """The graph for a placement with its layers corrected, or plain where that is clearly better.

    The correction makes each layer's output alone come near FP32's; that all of them together give
    probabilities nearer to FP32's is to be expected and not certain.
    """
    plain, corrected = (
        build(problem, placement, ranges, kept_float=kept_float, is_corrected=is_corrected)
        for is_corrected in (False, True)
    )
    before, after = (probe_divergence(problem, placement, int8) for int8 in (plain, corrected))
    is_kept = not before + NEGLIGIBLE < after
    return corrected if is_kept else plain, Correction(before, after, is_kept)


def probe_divergence(problem: Problem, placement: Placement, int8: Int8Model) -> float:
    """Mean divergence from FP32 on the probe images, every class weighing the same.

    `NO_NUMBERS` where a logit is not finite.
    """
    session, probe = open_as_target(int8.model, placement), problem.probe
    batches = (probe.images[i : i + PROBE_BATCH] for i in range(0, len(probe.images), PROBE_BATCH))
    logits = np.concatenate([session.infer(batch) for batch in batches])
    if not np.isfinite(logits).all():
        return NO_NUMBERS
    return metrics.mean_over_classes(metrics.divergence(probe.logits, logits), probe.predicted)


def _content(int8: Int8Model) -> bytes:
    return bytes(int8.model.SerializeToString(deterministic=True))
