"""From calibrated FP32 to an INT8 graph that passes the gate, with as little float as needed.

First the range method is chosen that disturbs the probabilities least, and the layers are
corrected. If the gate still refuses, the layers are ranked by what quantizing each alone does, and
the worst go back to float one by one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Final

from converters.accuracy.comparison import Evidence
from converters.accuracy.gate import Check, failures
from converters.calibration.ranges import Range, choose_ranges
from converters.int8.onnx_to_int8 import Int8Model
from converters.layers.macs import int8_share
from converters.layers.placement import Placement
from converters.search.probing import (
    Correction,
    LayerEffect,
    build_corrected,
    choose_method,
    rank_layers,
)
from converters.search.problem import Problem, quantize_on
from edge.errors import AccuracyGateError

# With less of the arithmetic in INT8, FP16 or FP32 is the better choice.
MIN_INT8_SHARE: Final = 0.5
# A broken network diverges least where everything is clipped, which spoils its sound layers too.
# These methods keep what is rare, so that the layers at fault stand out.
RESCUE_METHODS: Final = ("max", "percentile 99.999")
# Layers in turn, the worst first, that may bring nothing. Each costs a correction and a judgement.
PATIENCE: Final = 8


@dataclass(frozen=True, slots=True)
class RescueStep:
    """One more layer in float, and which limits were still missed.

    `is_kept` is false for what was tried after the best step, and did not help.
    """

    kept_float: str
    missed: tuple[str, ...]
    int8_share: float
    is_kept: bool = True


@dataclass(slots=True)
class Solution:
    """The best graph for one placement; `holds` says whether the gate accepts it.

    Attributes:
        naive_checks: of the graph before any layer went back to float.
    """

    placement: Placement
    method: str
    method_divergence: dict[str, float]
    ranges: dict[str, Range]
    int8: Int8Model
    evidence: Evidence
    checks: list[Check]
    int8_share: float
    naive_checks: list[Check]
    correction: Correction
    effects: list[LayerEffect] = field(default_factory=list)
    steps: list[RescueStep] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every limit of the gate holds."""
        return not failures(self.checks)

    @property
    def kept_float(self) -> list[str]:
        """The layers that went back to float."""
        return [step.kept_float for step in self.steps if step.is_kept]

    def refusal(self) -> str:
        """The first limit that was missed."""
        return failures(self.checks)[0].text

    def distance(self) -> tuple[int, float]:
        """How far from holding: limits missed, and then the divergence in nats."""
        return len(failures(self.checks)), self.evidence.divergence.value


def solve(problem: Problem, placement: Placement) -> Solution:
    """Quantize for one placement; where the gate refuses, rescue what can be rescued.

    Raises:
        AccuracyGateError: no layer can be quantized; such a graph would pass as INT8.
    """
    start = time.monotonic()
    method, ranges, scores = choose_method(problem, placement)
    int8, correction = build_corrected(problem, placement, ranges)
    if not int8.quantized_layers:
        raise AccuracyGateError("none of the network's layers can be quantized")
    evidence, checks = problem.judge(int8, placement)
    solution = Solution(
        placement=placement,
        method=method,
        method_divergence=scores,
        ranges=ranges,
        int8=int8,
        evidence=evidence,
        checks=checks,
        int8_share=int8_share(problem.macs, int8.quantized_layers),
        naive_checks=checks,
        correction=correction,
    )
    if failures(checks):
        rescue(problem, solution)
    solution.seconds = time.monotonic() - start
    return solution


def rescue(problem: Problem, solution: Solution) -> None:
    """Try other ranges, then the worst layers in float, one by one, until the gate holds.

    A layer that would leave less than half of the arithmetic in INT8 is passed over. It ends too
    when no layer is left, or when `PATIENCE` of them in turn brought nothing; then the solution is
    the best that was found: the fewest limits missed, and of those the least divergence.
    """
    best = _copy(solution)
    _take_rescue_ranges(problem, solution)
    best = min(best, _copy(solution), key=Solution.distance)
    if not solution.holds:
        solution.effects = rank_layers(problem, solution.placement, solution.ranges)
        best = _put_back(problem, solution, best)
    if not solution.holds:
        _return_to(best, solution)


def _take_rescue_ranges(problem: Problem, solution: Solution) -> None:
    method = min(RESCUE_METHODS, key=lambda name: solution.method_divergence[name])
    if method != solution.method:
        solution.method = method
        solution.ranges = choose_ranges(
            problem.calibration.histograms, method, symmetric=solution.placement.symmetric
        )
        _take(problem, solution, [])


def _put_back(problem: Problem, solution: Solution, best: Solution) -> Solution:
    """Put layers back in float until the gate holds; returns the best of what was tried."""
    kept: list[str] = []
    without_gain = 0
    step = f"layers back in float for {solution.placement.name}"
    for done, effect in enumerate(solution.effects, start=1):
        problem.on_progress(step, done, len(solution.effects))
        if _share_with(problem, solution, [*kept, effect.name]) < MIN_INT8_SHARE:
            continue
        kept.append(effect.name)
        _take(problem, solution, kept)
        missed = tuple(check.name for check in failures(solution.checks))
        solution.steps.append(RescueStep(effect.name, missed, solution.int8_share))
        is_better = solution.distance() < best.distance()
        best = _copy(solution) if is_better else best
        without_gain = 0 if is_better else without_gain + 1
        if not missed or without_gain == PATIENCE:
            break
    return best


def _share_with(problem: Problem, solution: Solution, kept_float: list[str]) -> float:
    plain = quantize_on(problem, solution.placement, solution.ranges, None, kept_float=kept_float)
    return int8_share(problem.macs, plain.quantized_layers)


def _take(problem: Problem, solution: Solution, kept_float: list[str]) -> None:
    """Make the solution the one with these layers in float."""
    int8, correction = build_corrected(
        problem, solution.placement, solution.ranges, kept_float=kept_float
    )
    solution.int8, solution.correction = int8, correction
    solution.int8_share = int8_share(problem.macs, int8.quantized_layers)
    solution.evidence, solution.checks = problem.judge(int8, solution.placement)


def _copy(solution: Solution) -> Solution:
    return replace(solution, steps=list(solution.steps))


def _return_to(best: Solution, solution: Solution) -> None:
    """Make the solution an earlier one; the steps after that one stay in the evidence."""
    solution.method, solution.ranges = best.method, best.ranges
    solution.int8, solution.int8_share = best.int8, best.int8_share
    solution.evidence, solution.checks = best.evidence, best.checks
    solution.correction = best.correction
    kept = len(best.steps)
    solution.steps = [replace(s, is_kept=i < kept) for i, s in enumerate(solution.steps)]
