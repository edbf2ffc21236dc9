"""Makes the INT8 graphs for all targets, from one calibration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import onnx

from converters.accuracy.gate import missed_limits
from converters.calibration.cache import cache_key, cached
from converters.calibration.calibration import Calibration, calibrate
from converters.correction.float_run import balanced, run_float
from converters.correction.layer_correction import image_limit
from converters.fp16.range_check import NONE_OUT_OF_RANGE
from converters.inputs.image_set import ImageSet, evenly, image_batches
from converters.int8.onnx_to_int8 import quantizable_tensors
from converters.layers.placement import TENSORRT, TENSORRT8, X86, X86_7BIT, Placement
from converters.search.judging import Judging
from converters.search.probing import build_corrected
from converters.search.search import SearchResult, find_graph, rescue
from converters.search.task import SearchTask
from converters.targets.failure import Failure, result_or_failure
from converters.targets.fp16_model import Fp16Model, fp16_refusal
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

    results: dict[str, SearchResult]
    failed: dict[str, Failure]
    calibration: Calibration | None
    origin: str
    float32_reason: str | None = None
    shared_images: int = 0

    def held(self) -> dict[str, SearchResult]:
        """The graphs that passed the gate."""
        return {name: found for name, found in self.results.items() if found.holds}

    def absent(self) -> dict[str, str]:
        """By placement without a graph in the bundle, the reason."""
        refused = {name: s.refusal() for name, s in self.results.items() if not s.holds}
        return refused | {name: failure.reason for name, failure in self.failed.items()}


def quantize_for_all(
    request: ConversionRequest,
    fp32: onnx.ModelProto,
    images: ImageSet,
    judging: Judging,
    fp16: Fp16Model | Failure,
    on_progress: OnProgress,
) -> Quantized:
    """Calibrate once, and search a graph for each placement from the same histograms.

    Args:
        fp16: the FP16 graph; if it failed the gate, float layers of graphs for GPUs stay FP32.
    """
    placements = (X86, X86_7BIT, TENSORRT, *((TENSORRT8,) if request.tensorrt8 else ()))
    task = result_or_failure(lambda: _task(request, fp32, images, judging, fp16, on_progress))
    if isinstance(task, Failure):
        return Quantized({}, {p.name: task for p in placements}, None, images.origin)
    found = _Searches(task, fp16)
    for placement in placements:
        found.add(placement)
    return Quantized(
        results=found.results,
        failed=found.failed,
        calibration=task.calibration,
        origin=images.origin,
        float32_reason=found.float32_reason,
        shared_images=shared_images(images, judging.validation.paths),
    )


def require_int8(quantized: Quantized) -> None:
    """Require a graph that passed the gate for each placement.

    Raises:
        AccuracyGateError: one is missing; the message has the reason.
    """
    for name, reason in quantized.absent().items():
        result = quantized.results.get(name)
        tried = (
            f" even with {len(result.kept_float)} layers in float (validated on "
            f"{result.evidence.validation.origin})"
            if result and result.kept_float
            else ""
        )
        raise AccuracyGateError(
            f"no INT8 graph for {name}: {reason}{tried}. Nothing was written. Calibrate on more "
            "images like those of the analyzer, or convert without --strict for a bundle without "
            "that graph."
        )


@dataclass(slots=True)
class _Searches:
    """The search over all placements, and its results so far."""

    task: SearchTask
    fp16: Fp16Model | Failure
    results: dict[str, SearchResult] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    float32_reason: str | None = None

    def add(self, placement: Placement) -> None:
        """Search a graph for one more placement."""
        searches: dict[str, Callable[[], SearchResult | Failure]] = {
            X86.name: lambda: result_or_failure(lambda: find_graph(self.task, X86)),
            X86_7BIT.name: lambda: self._related(X86_7BIT, X86),
            TENSORRT.name: self._tensorrt,
            TENSORRT8.name: self._tensorrt8,
        }
        found = searches[placement.name]()
        if isinstance(found, Failure):
            self.failed[placement.name] = found
        else:
            self.results[placement.name] = found

    def _related(self, placement: Placement, like: Placement) -> SearchResult | Failure:
        result = self.results.get(like.name)
        if result is None:
            return result_or_failure(lambda: find_graph(self.task, placement))
        return result_or_failure(lambda: rebuild_like(self.task, placement, result))

    def _tensorrt(self) -> SearchResult | Failure:
        """The float layers are FP16; FP32 if the FP16 graph failed or this graph fails with it."""
        self.float32_reason = fp16_refusal(self.fp16)
        if self.float32_reason is None:
            found = result_or_failure(lambda: find_graph(self.task, TENSORRT))
            if not isinstance(found, Failure):
                return found
            self.float32_reason = found.reason
        return result_or_failure(lambda: find_graph(self.task, _FLOAT32_TENSORRT))

    def _tensorrt8(self) -> SearchResult | Failure:
        """TensorRT 8 may run any layer in FP16, so the whole network must work in FP16."""
        reason = fp16_refusal(self.fp16)
        if reason is None and self.task.out_of_range.tensors:
            reason = f"FP16 cannot hold {', '.join(sorted(self.task.out_of_range.tensors)[:3])}"
        if reason is not None:
            return Failure(f"TensorRT 8 chooses FP16 itself, and {reason}", "")
        return self._related(TENSORRT8, TENSORRT)


def _task(
    request: ConversionRequest,
    fp32: onnx.ModelProto,
    images: ImageSet,
    judging: Judging,
    fp16: Fp16Model | Failure,
    on_progress: OnProgress,
) -> SearchTask:
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
    out_of_range = NONE_OUT_OF_RANGE if isinstance(fp16, Failure) else fp16.out_of_range
    return SearchTask(fp32, calibration, spec, reference, probe, judging, on_progress, out_of_range)


def rebuild_like(task: SearchTask, placement: Placement, result: SearchResult) -> SearchResult:
    """A graph for a related placement, with the same ranges and float layers; judged again."""
    start = time.monotonic()
    kept = result.kept_float
    int8, correction = build_corrected(task, placement, result.ranges, kept_float=kept)
    evidence, checks = task.judge(int8, placement)
    found = replace(
        result,
        placement=placement,
        int8=int8,
        evidence=evidence,
        checks=checks,
        naive_checks=checks,
        correction=correction,
        # Copies, because a rescue changes these lists.
        effects=list(result.effects),
        steps=[step for step in result.steps if step.is_kept],
    )
    if missed_limits(checks):
        found.steps = []
        rescue(task, found)
    found.seconds = time.monotonic() - start
    return found
