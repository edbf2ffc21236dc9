"""The INT8 graphs of one conversion: one calibration, a solution for each target."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import onnx

from converters.calibration import Calibration, calibrate
from converters.calibration_cache import cache_key, cached
from converters.float_run import balanced, run_float
from converters.gate import failures
from converters.image_set import ImageSet, evenly, image_batches
from converters.judging import Judging
from converters.layer_correction import image_limit
from converters.onnx_to_int8 import quantizable_tensors
from converters.placement import TENSORRT, TENSORRT8, X86, X86_7BIT, Placement
from converters.probing import build_corrected
from converters.problem import Problem
from converters.quantization import Solution, rescue, solve
from converters.request import Request
from edge.errors import AccuracyGateError
from edge.progress import OnProgress

# Images on which range methods and layers are compared.
PROBE_IMAGES: Final = 48


@dataclass(frozen=True, slots=True)
class Quantized:
    """The INT8 graphs by the name of their placement, and what was calibrated on."""

    solutions: dict[str, Solution]
    calibration: Calibration
    origin: str

    def held(self) -> dict[str, Solution]:
        """The graphs that passed the gate."""
        return {name: found for name, found in self.solutions.items() if found.holds}


def quantize_for_all(
    request: Request,
    fp32: onnx.ModelProto,
    images: ImageSet,
    judging: Judging,
    on_progress: OnProgress,
) -> Quantized:
    """Calibrate once and solve for every placement from the same histograms."""
    spec = request.card.input
    tensors = quantizable_tensors(fp32, X86, TENSORRT)
    calibration = cached(
        request.cache,
        cache_key(fp32, tensors, images.sha256, spec),
        lambda: calibrate(
            fp32, tensors, images, spec, lambda done, of: on_progress("calibrating", done, of)
        ),
    )
    chosen = evenly(images, image_limit(fp32))
    reference = run_float(fp32, np.concatenate(list(image_batches(chosen, spec, 1))))
    probe = reference.chosen(balanced(reference.predicted, PROBE_IMAGES))
    problem = Problem(fp32, calibration, spec, reference, probe, judging, on_progress)
    solutions = {p.name: solve(problem, p) for p in (X86, TENSORRT)}
    solutions[X86_7BIT.name] = _in_the_form_of(problem, X86_7BIT, solutions[X86.name])
    if request.tensorrt8:
        solutions[TENSORRT8.name] = _in_the_form_of(problem, TENSORRT8, solutions[TENSORRT.name])
    return Quantized(solutions, calibration, images.origin)


def require_int8(quantized: Quantized) -> None:
    """Refuse where the graph for this kind of machine misses the gate.

    Raises:
        AccuracyGateError: which limit was missed, and that rescue did not help.
    """
    solution = quantized.solutions[X86.name]
    if not solution.holds:
        tried = f" even with {len(solution.steps)} layers in float" if solution.steps else ""
        raise AccuracyGateError(
            f"{failures(solution.checks)[0].text}{tried} (validated on "
            f"{solution.evidence.validation.origin}). Nothing was written. Calibrate on more "
            "images like those of the analyzer, or convert without --strict for an FP32 bundle."
        )


def _in_the_form_of(problem: Problem, placement: Placement, solution: Solution) -> Solution:
    """The same ranges and layers in float for a related placement, judged and rescued by itself."""
    start = time.monotonic()
    kept = [step.kept_float for step in solution.steps]
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
        # Lists of its own: a rescue adds to them.
        effects=list(solution.effects),
        steps=list(solution.steps),
    )
    if failures(checks):
        found.steps = []
        rescue(problem, found)
    found.seconds = time.monotonic() - start
    return found
