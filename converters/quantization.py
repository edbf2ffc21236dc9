"""From calibrated FP32 to an INT8 graph that passes the gate, with as little float as needed.

First the range method is chosen that disturbs the probabilities least, and the layers are
corrected. If the gate still refuses, the layers are ranked by what quantizing each alone does, and
the worst go back to float one by one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from converters.agreement import Evidence
from converters.gate import Check, failures
from converters.layers.macs import int8_share
from converters.onnx_to_int8 import Int8Model
from converters.placement import Placement
from converters.probing import (
    Correction,
    LayerEffect,
    build_corrected,
    choose_method,
    rank_layers,
)
from converters.problem import Problem
from converters.ranges import Range, choose_ranges

# With less of the arithmetic in INT8, FP16 or FP32 is the better choice.
MIN_INT8_SHARE: Final = 0.5
# A broken network diverges least where everything is clipped, which spoils its sound layers too.
# These methods keep what is rare, so that the layers at fault stand out.
RESCUE_METHODS: Final = ("max", "percentile 99.999")


@dataclass(frozen=True, slots=True)
class RescueStep:
    """One more layer in float, and which limits were still missed."""

    kept_float: str
    missed: tuple[str, ...]
    int8_share: float


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


def solve(problem: Problem, placement: Placement) -> Solution:
    """Quantize for one placement; where the gate refuses, rescue what can be rescued."""
    start = time.monotonic()
    method, ranges, scores = choose_method(problem, placement)
    int8, correction = build_corrected(problem, placement, ranges)
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
        correction=correction,
    )
    if failures(checks):
        rescue(problem, solution)
    solution.seconds = time.monotonic() - start
    return solution


def rescue(problem: Problem, solution: Solution) -> None:
    """Try other ranges, then the worst layers in float, one by one, until the gate holds.

    Ends too when half of the arithmetic is in float.
    """
    placement = solution.placement
    method = min(RESCUE_METHODS, key=lambda name: solution.method_divergence[name])
    if method != solution.method:
        solution.method = method
        solution.ranges = choose_ranges(
            problem.calibration.histograms, method, symmetric=placement.symmetric
        )
        if not _missed_with(problem, solution, []):
            return
    solution.effects = rank_layers(problem, placement, solution.ranges)
    kept: list[str] = []
    for effect in solution.effects:
        kept.append(effect.name)
        missed = _missed_with(problem, solution, kept)
        if missed is None:
            return
        solution.steps.append(RescueStep(effect.name, missed, solution.int8_share))
        problem.on_progress(
            f"layers back in float for {placement.name}", len(kept), len(solution.effects)
        )
        if not missed:
            return


def _missed_with(
    problem: Problem, solution: Solution, kept_float: list[str]
) -> tuple[str, ...] | None:
    """Make the solution one with these layers in float; None, and unchanged, with too many."""
    int8, correction = build_corrected(
        problem, solution.placement, solution.ranges, kept_float=kept_float
    )
    share = int8_share(problem.model, int8.quantized_layers)
    if share < MIN_INT8_SHARE:
        return None
    solution.int8, solution.int8_share, solution.correction = int8, share, correction
    solution.evidence, solution.checks = problem.judge(int8, solution.placement)
    return tuple(check.name for check in failures(solution.checks))
