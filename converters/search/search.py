"""Searches for an INT8 graph that passes the gate with as few float layers as possible.

First the range method with the smallest divergence is chosen, and the layers are corrected. If the
gate refuses the graph, the layers are ranked by the effect of quantizing each one alone, and the
worst are made float again, one by one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Final

from converters.accuracy.comparison import Evidence
from converters.accuracy.gate import Check, missed_limits
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
from converters.search.task import SearchTask, quantize_on
from edge.errors import AccuracyGateError

# With a smaller share of the arithmetic in INT8, FP16 or FP32 is the better choice.
MIN_INT8_SHARE: Final = 0.5
# Range methods for the rescue. If some layers quantize badly, methods that clip may have the
# smallest divergence, but harm the other layers. These keep rare values, so bad layers stand out.
RESCUE_METHODS: Final = ("max", "percentile 99.999")
# The rescue ends after this many layers in a row without improvement; each takes a correction and
# a run over the validation images.
PATIENCE: Final = 8


@dataclass(frozen=True, slots=True)
class RescueStep:
    """One more layer in float, and the limits that were still missed.

    `is_kept` is False for steps after the best one, which did not help.
    """

    kept_float: str
    missed: tuple[str, ...]
    int8_share: float
    is_kept: bool = True


@dataclass(slots=True)
class SearchResult:
    """The best graph for one placement; `holds` says whether the gate accepts it.

    Attributes:
        naive_checks: the gate's checks before the rescue.
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
        return not missed_limits(self.checks)

    @property
    def kept_float(self) -> list[str]:
        """The layers that the rescue made float."""
        return [step.kept_float for step in self.steps if step.is_kept]

    def refusal(self) -> str:
        """The first limit that was missed."""
        return missed_limits(self.checks)[0].text

    def distance(self) -> tuple[int, float]:
        """A sort key, best first: number of missed limits, then divergence in nats."""
        return len(missed_limits(self.checks)), self.evidence.divergence.value


def find_graph(task: SearchTask, placement: Placement) -> SearchResult:
    """Quantize for one placement; if the gate refuses the graph, try to rescue it.

    Raises:
        AccuracyGateError: no layer can be quantized. Such a graph would pass the gate, but is not
            INT8.
    """
    start = time.monotonic()
    method, ranges, scores = choose_method(task, placement)
    int8, correction = build_corrected(task, placement, ranges)
    if not int8.quantized_layers:
        raise AccuracyGateError("none of the network's layers can be quantized")
    evidence, checks = task.judge(int8, placement)
    result = SearchResult(
        placement=placement,
        method=method,
        method_divergence=scores,
        ranges=ranges,
        int8=int8,
        evidence=evidence,
        checks=checks,
        int8_share=int8_share(task.macs, int8.quantized_layers),
        naive_checks=checks,
        correction=correction,
    )
    if missed_limits(checks):
        rescue(task, result)
    result.seconds = time.monotonic() - start
    return result


def rescue(task: SearchTask, result: SearchResult) -> None:
    """Try other ranges, then make the worst layers float, one by one, until the gate passes.

    A layer is skipped if less than MIN_INT8_SHARE of the arithmetic would remain in INT8. The
    rescue also ends if no layer is left, or after `PATIENCE` layers without improvement. Then the
    best graph that was found is used: with the fewest missed limits, then the least divergence.
    """
    best = _copy(result)
    _take_rescue_ranges(task, result)
    best = min(best, _copy(result), key=SearchResult.distance)
    if not result.holds:
        result.effects = rank_layers(task, result.placement, result.ranges)
        best = _make_float(task, result, best)
    if not result.holds:
        _return_to(best, result)


def _take_rescue_ranges(task: SearchTask, result: SearchResult) -> None:
    method = min(RESCUE_METHODS, key=lambda name: result.method_divergence[name])
    if method != result.method:
        result.method = method
        result.ranges = choose_ranges(
            task.calibration.histograms, method, symmetric=result.placement.symmetric
        )
        _take(task, result, [])


def _make_float(task: SearchTask, result: SearchResult, best: SearchResult) -> SearchResult:
    """Make layers float, one by one, until the gate passes; returns the best result."""
    kept: list[str] = []
    without_gain = 0
    step = f"layers back in float for {result.placement.name}"
    for done, effect in enumerate(result.effects, start=1):
        task.on_progress(step, done, len(result.effects))
        if _share_with(task, result, [*kept, effect.name]) < MIN_INT8_SHARE:
            continue
        kept.append(effect.name)
        _take(task, result, kept)
        missed = tuple(check.name for check in missed_limits(result.checks))
        result.steps.append(RescueStep(effect.name, missed, result.int8_share))
        is_better = result.distance() < best.distance()
        best = _copy(result) if is_better else best
        without_gain = 0 if is_better else without_gain + 1
        if not missed or without_gain == PATIENCE:
            break
    return best


def _share_with(task: SearchTask, result: SearchResult, kept_float: list[str]) -> float:
    plain = quantize_on(task, result.placement, result.ranges, None, kept_float=kept_float)
    return int8_share(task.macs, plain.quantized_layers)


def _take(task: SearchTask, result: SearchResult, kept_float: list[str]) -> None:
    """Rebuild and judge the result's graph with these layers in float."""
    int8, correction = build_corrected(task, result.placement, result.ranges, kept_float=kept_float)
    result.int8, result.correction = int8, correction
    result.int8_share = int8_share(task.macs, int8.quantized_layers)
    result.evidence, result.checks = task.judge(int8, result.placement)


def _copy(result: SearchResult) -> SearchResult:
    return replace(result, steps=list(result.steps))


def _return_to(best: SearchResult, result: SearchResult) -> None:
    """Reset the result to an earlier one; later steps stay in it, marked as not kept."""
    result.method, result.ranges = best.method, best.ranges
    result.int8, result.int8_share = best.int8, best.int8_share
    result.evidence, result.checks = best.evidence, best.checks
    result.correction = best.correction
    kept = len(best.steps)
    result.steps = [replace(s, is_kept=i < kept) for i, s in enumerate(result.steps)]
