"""The inputs of the quantization search, and how a graph is built from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.accuracy.comparison import Evidence
from converters.accuracy.gate import Check
from converters.calibration.calibration import Calibration
from converters.calibration.ranges import Range
from converters.correction.float_run import FloatRun
from converters.correction.layer_correction import correct_layers
from converters.fp16.range_check import NONE_OUT_OF_RANGE, OutOfRange
from converters.int8.onnx_to_int8 import Int8Model, quantize
from converters.int8.tensorrt_graph import for_tensorrt
from converters.layers.macs import layer_macs
from converters.layers.placement import Placement
from edge.preprocess import InputSpec
from edge.text.progress import OnProgress

Judge = Callable[[Int8Model, Placement], tuple[Evidence, list[Check]]]


@dataclass(frozen=True, slots=True)
class SearchTask:
    """The model to quantize, and everything that all targets share.

    Attributes:
        reference: calibration images, and FP32's results, for the correction of layers.
        probe: a part of them, as equally from each class as possible, on which methods and layers
            are compared.
        out_of_range: values that FP16 cannot hold; in graphs for GPUs they stay in FP32.
        macs: multiply-accumulates by layer, counted in one run of the model.
    """

    model: onnx.ModelProto
    calibration: Calibration
    spec: InputSpec
    reference: FloatRun
    probe: FloatRun
    judge: Judge
    on_progress: OnProgress
    out_of_range: OutOfRange = NONE_OUT_OF_RANGE
    macs: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "macs", layer_macs(self.model))


def build(
    task: SearchTask,
    placement: Placement,
    ranges: dict[str, Range],
    *,
    kept_float: Collection[str],
    is_corrected: bool,
) -> Int8Model:
    """Build the graph for a placement, in the form that its target reads."""
    reference = task.reference if is_corrected else None
    int8 = quantize_on(task, placement, ranges, reference, kept_float=kept_float)
    if not placement.symmetric:
        return int8
    half_floats = placement.half_floats
    model = for_tensorrt(int8.model, half_floats=half_floats, out_of_range=task.out_of_range)
    return replace(int8, model=model)


def quantize_on(
    task: SearchTask,
    placement: Placement,
    ranges: dict[str, Range],
    reference: FloatRun | None,
    *,
    kept_float: Collection[str] = (),
) -> Int8Model:
    """Build the graph with an FP32 float part; layers are corrected if `reference` is given."""

    def quantized(model: onnx.ModelProto, rounded: Mapping[str, NDArray[np.int8]]) -> Int8Model:
        return quantize(model, ranges, task.spec, placement, kept_float=kept_float, rounded=rounded)

    if reference is None:
        return quantized(task.model, {})
    return correct_layers(
        task.model,
        quantized,
        placement,
        reference,
        on_layer=partial(task.on_progress, f"correcting layers for {placement.name}"),
    )
