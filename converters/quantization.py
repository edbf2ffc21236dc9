"""From calibrated FP32 to an INT8 graph that passes the gate, with as little float as needed.

First the range method is chosen that disturbs the logits least. If the gate still refuses, the
layers are ranked by what quantizing each alone does, and the worst go back to float one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters import metrics
from converters.agreement import Evidence
from converters.calibration import Calibration
from converters.gate import Check, failures
from converters.macs import int8_share
from converters.onnx_to_int8 import Int8Model, quantize
from converters.placement import Placement
from converters.ranges import METHODS, Range, choose_ranges
from converters.target_session import open_as_target
from converters.tensorrt_graph import for_tensorrt
from edge.preprocess import InputSpec

# With less of the arithmetic in INT8, FP16 or FP32 is the better choice.
MIN_INT8_SHARE: Final = 0.5
PROBE_BATCH: Final = 8
# A broken network diverges least where everything is clipped, which spoils its sound layers too.
# These methods keep what is rare, so that the layers at fault stand out.
RESCUE_METHODS: Final = ("max", "percentile 99.999")

OnProgress = Callable[[str, int, int], None]
Judge = Callable[[Int8Model, Placement], tuple[Evidence, list[Check]]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be quantized, and the preprocessed images on which methods are compared."""

    model: onnx.ModelProto
    calibration: Calibration
    spec: InputSpec
    probe: NDArray[np.uint8]
    probe_logits: NDArray[np.float32]
    judge: Judge
    on_progress: OnProgress


@dataclass(frozen=True, slots=True)
class LayerEffect:
    """Mean divergence of the probabilities when this layer alone is quantized."""

    name: str
    divergence: float


@dataclass(frozen=True, slots=True)
class RescueStep:
    """One more layer in float, and which limits were still missed."""

    kept_float: str
    missed: tuple[str, ...]
    int8_share: float


@dataclass(slots=True)
class Solution:
    """The best graph for one placement; `holds` says whether the gate accepts it."""

    placement: Placement
    method: str
    method_divergence: dict[str, float]
    ranges: dict[str, Range]
    int8: Int8Model
    evidence: Evidence
    checks: list[Check]
    int8_share: float
    naive_checks: list[Check]
    effects: list[LayerEffect] = field(default_factory=list)
    steps: list[RescueStep] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every limit of the gate holds."""
        return not failures(self.checks)


def solve(problem: Problem, placement: Placement) -> Solution:
    """Quantize for one placement; where the gate refuses, rescue what can be rescued."""
    start = time.monotonic()
    method, ranges, scores = choose_method(problem, placement)
    int8 = build(problem, placement, ranges)
    evidence, checks = problem.judge(int8, placement)
    solution = Solution(
        placement=placement,
        method=method,
        method_divergence=scores,
        ranges=ranges,
        int8=int8,
        evidence=evidence,
        checks=checks,
        int8_share=int8_share(problem.model, int8.quantized_layers),
        naive_checks=checks,
    )
    if failures(checks):
        rescue(problem, solution)
    solution.seconds = time.monotonic() - start
    return solution


def build(
    problem: Problem,
    placement: Placement,
    ranges: dict[str, Range],
    *,
    kept_float: Collection[str] = (),
) -> Int8Model:
    """The graph for a placement, in the form that its target reads."""
    int8 = quantize(problem.model, ranges, problem.spec, placement, kept_float=kept_float)
    if not placement.symmetric:
        return int8
    return replace(int8, model=for_tensorrt(int8.model, half_floats=placement.half_floats))


def choose_method(
    problem: Problem, placement: Placement
) -> tuple[str, dict[str, Range], dict[str, float]]:
    """The range method whose graph diverges least from FP32 on the probe images."""
    histograms, symmetric = problem.calibration.histograms, placement.symmetric
    candidates: dict[str, dict[str, Range]] = {}
    scores: dict[str, float] = {}
    for done, method in enumerate(METHODS, start=1):
        candidates[method] = choose_ranges(histograms, method, symmetric=symmetric)
        int8 = quantize(problem.model, candidates[method], problem.spec, placement)
        scores[method] = probe_divergence(problem, placement, int8)
        problem.on_progress(f"range methods for {placement.name}", done, len(METHODS))
    best = min(scores, key=lambda name: scores[name])
    return best, candidates[best], scores


def rank_layers(
    problem: Problem, placement: Placement, ranges: dict[str, Range]
) -> list[LayerEffect]:
    """Every quantizable node by its effect on the probabilities, the worst first."""
    names = [n.name for n in problem.model.graph.node if n.op_type in placement.quantizable]
    effects = []
    for done, name in enumerate(names, start=1):
        others = [other for other in names if other != name]
        int8 = quantize(problem.model, ranges, problem.spec, placement, kept_float=others)
        effects.append(LayerEffect(name, probe_divergence(problem, placement, int8)))
        problem.on_progress(f"ranking layers for {placement.name}", done, len(names))
    return sorted(effects, key=lambda effect: effect.divergence, reverse=True)


def rescue(problem: Problem, solution: Solution) -> None:
    """Put the worst layers back into float, one by one, until the gate holds or INT8 is spent."""
    placement = solution.placement
    solution.method = min(RESCUE_METHODS, key=lambda name: solution.method_divergence[name])
    solution.ranges = choose_ranges(
        problem.calibration.histograms, solution.method, symmetric=placement.symmetric
    )
    solution.effects = rank_layers(problem, placement, solution.ranges)
    kept: list[str] = []
    for effect in solution.effects:
        kept.append(effect.name)
        int8 = build(problem, placement, solution.ranges, kept_float=kept)
        share = int8_share(problem.model, int8.quantized_layers)
        if share < MIN_INT8_SHARE:
            return
        solution.int8, solution.int8_share = int8, share
        solution.evidence, solution.checks = problem.judge(int8, placement)
        missed = tuple(check.name for check in failures(solution.checks))
        solution.steps.append(RescueStep(effect.name, missed, share))
        problem.on_progress(
            f"layers back in float for {placement.name}", len(kept), len(solution.effects)
        )
        if not missed:
            return


def probe_divergence(problem: Problem, placement: Placement, int8: Int8Model) -> float:
    """Mean divergence from FP32 on the probe images."""
    session = open_as_target(int8.model, placement)
    batches = (
        problem.probe[i : i + PROBE_BATCH] for i in range(0, len(problem.probe), PROBE_BATCH)
    )
    logits = np.concatenate([session.infer(batch) for batch in batches])
    return float(metrics.divergence(problem.probe_logits, logits).mean())
