"""Makes the INT8 graphs for all targets, from one calibration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import onnx

from converters.accuracy.gate import failures
from converters.calibration.cache import cache_key, cached
from converters.calibration.calibration import Calibration, calibrate
from converters.correction.float_run import balanced, run_float
from converters.correction.layer_correction import image_limit
from converters.fp16.range_check import NOTHING
from converters.inputs.image_set import ImageSet, evenly, image_batches
from converters.int8.onnx_to_int8 import quantizable_tensors
from converters.layers.placement import TENSORRT, TENSORRT8, X86, X86_7BIT, Placement
from converters.search.judging import Judging
from converters.search.probing import build_corrected
from converters.search.problem import Problem
from converters.search.search import Solution, rescue, solve
from converters.targets.attempt import Failure, attempt
from converters.targets.half_model import HalfModel, half_refusal
from converters.targets.request import ConversionRequest, shared_images
from edge.errors import AccuracyGateError
from edge.text.progress import OnProgress

# Images on which range methods and layers are compared.
PROBE_IMAGES: Final = 48
_FLOAT32_TENSORRT: Final = replace(TENSORRT, half_floats=False)


@dataclass(frozen=True, slots=True)
class Quantized:
    """The INT8 graphs by placement, and the calibration.

    Attributes:
        failed: by placement, why no graph could be made.
        float32_reason: why the float layers of the graph for TensorRT are FP32; None if FP16.
        calibration: None if it failed.
        origin: the folder of the calibration images.
        shared_images: number of validation images that are calibration images too.
    """

    solutions: dict[str, Solution]
    failed: dict[str, Failure]
    calibration: Calibration | None
    origin: str
    float32_reason: str | None = None
    shared_images: int = 0

    def held(self) -> dict[str, Solution]:
        """The graphs that passed the gate."""
        return {name: found for name, found in self.solutions.items() if found.holds}

    def missed(self) -> dict[str, str]:
        """By placement without a graph in the bundle, the reason."""
        refused = {name: s.refusal() for name, s in self.solutions.items() if not s.holds}
        return refused | {name: failure.reason for name, failure in self.failed.items()}


def quantize_for_all(
    request: ConversionRequest,
    fp32: onnx.ModelProto,
    images: ImageSet,
    judging: Judging,
    half: HalfModel | Failure,
    on_progress: OnProgress,
) -> Quantized:
    """Calibrate once, and search a graph for each placement from the same histograms.

    Args:
        half: the FP16 graph; if it failed the gate, float layers of graphs for GPUs stay FP32.
    """
    placements = (X86, X86_7BIT, TENSORRT, *((TENSORRT8,) if request.tensorrt8 else ()))
    problem = attempt(lambda: _problem(request, fp32, images, judging, half, on_progress))
    if isinstance(problem, Failure):
        return Quantized({}, {p.name: problem for p in placements}, None, images.origin)
    found = _Solving(problem, half)
    for placement in placements:
        found.add(placement)
    return Quantized(
        solutions=found.solutions,
        failed=found.failed,
        calibration=problem.calibration,
        origin=images.origin,
        float32_reason=found.float32_reason,
        shared_images=shared_images(images, judging.validation.paths),
    )


def require_int8(quantized: Quantized) -> None:
    """Require a graph that passed the gate for each placement.

    Raises:
        AccuracyGateError: one is missing; the message has the reason.
    """
    for name, reason in quantized.missed().items():
        solution = quantized.solutions.get(name)
        tried = (
            f" even with {len(solution.kept_float)} layers in float (validated on "
            f"{solution.evidence.validation.origin})"
            if solution and solution.kept_float
            else ""
        )
        raise AccuracyGateError(
            f"no INT8 graph for {name}: {reason}{tried}. Nothing was written. Calibrate on more "
            "images like those of the analyzer, or convert without --strict for a bundle without "
            "that graph."
        )


@dataclass(slots=True)
class _Solving:
    """The search over all placements, and its results so far."""

    problem: Problem
    half: HalfModel | Failure
    solutions: dict[str, Solution] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    float32_reason: str | None = None

    def add(self, placement: Placement) -> None:
        """Search a graph for one more placement."""
        solvers: dict[str, Callable[[], Solution | Failure]] = {
            X86_7BIT.name: lambda: self._related(X86_7BIT, X86),
            TENSORRT.name: self._tensorrt,
            TENSORRT8.name: self._tensorrt8,
        }
        found = solvers.get(placement.name, lambda: attempt(lambda: solve(self.problem, X86)))()
        if isinstance(found, Failure):
            self.failed[placement.name] = found
        else:
            self.solutions[placement.name] = found

    def _related(self, placement: Placement, like: Placement) -> Solution | Failure:
        solution = self.solutions.get(like.name)
        if solution is None:
            return attempt(lambda: solve(self.problem, placement))
        return attempt(lambda: in_the_form_of(self.problem, placement, solution))

    def _tensorrt(self) -> Solution | Failure:
        """The float layers are FP16; FP32 if the FP16 graph failed or this graph fails with it."""
        self.float32_reason = half_refusal(self.half)
        if self.float32_reason is None:
            found = attempt(lambda: solve(self.problem, TENSORRT))
            if not isinstance(found, Failure):
                return found
            self.float32_reason = found.reason
        return attempt(lambda: solve(self.problem, _FLOAT32_TENSORRT))

    def _tensorrt8(self) -> Solution | Failure:
        """TensorRT 8 may run any layer in FP16, so the whole network must work in FP16."""
        reason = half_refusal(self.half)
        if reason is None and self.problem.beyond.tensors:
            reason = f"FP16 cannot hold {', '.join(sorted(self.problem.beyond.tensors)[:3])}"
        if reason is not None:
            return Failure(f"TensorRT 8 chooses FP16 itself, and {reason}", "")
        return self._related(TENSORRT8, TENSORRT)


def _problem(
    request: ConversionRequest,
    fp32: onnx.ModelProto,
    images: ImageSet,
    judging: Judging,
    half: HalfModel | Failure,
    on_progress: OnProgress,
) -> Problem:
    spec = request.card.input
    tensors = quantizable_tensors(fp32, X86, TENSORRT)
    calibration = cached(
        request.cache,
        cache_key(fp32, tensors, images.sha256, spec),
        lambda: calibrate(fp32, tensors, images, spec, partial(on_progress, "calibrating")),
    )
    chosen = evenly(images, image_limit(fp32))
    reference = run_float(fp32, np.concatenate(list(image_batches(chosen, spec, 1))))
    probe = reference.chosen(balanced(reference.predicted, PROBE_IMAGES))
    beyond = NOTHING if isinstance(half, Failure) else half.beyond
    return Problem(fp32, calibration, spec, reference, probe, judging, on_progress, beyond)


def in_the_form_of(problem: Problem, placement: Placement, solution: Solution) -> Solution:
    """A graph for a related placement, with the same ranges and float layers; judged again."""
    start = time.monotonic()
    kept = solution.kept_float
    int8, correction = build_corrected(problem, placement, solution.ranges, kept_float=kept)
    evidence, checks = problem.judge(int8, placement)
    found = replace(
        solution,
        placement=placement,
        int8=int8,
        evidence=evidence,
        checks=checks,
        naive_checks=checks,
        correction=correction,
        # Copies, because a rescue changes these lists.
        effects=list(solution.effects),
        steps=[step for step in solution.steps if step.is_kept],
    )
    if failures(checks):
        found.steps = []
        rescue(problem, found)
    found.seconds = time.monotonic() - start
    return found
