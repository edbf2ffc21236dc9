"""Warnings about graphs that a bundle lacks, or that are not as expected."""

from __future__ import annotations

from converters.fp16.range_check import largest_of
from converters.layers.placement import TENSORRT
from converters.targets.failure import Failure
from converters.targets.fp16_model import Fp16Model, fp16_refusal
from converters.targets.quantized import Quantized


def target_warnings(fp16: Fp16Model | Failure, quantized: Quantized | None) -> list[str]:
    """A line for each graph that is missing or not as expected."""
    found = []
    refusal = fp16_refusal(fp16)
    if refusal is not None:
        found.append(f"no FP16 graph for GPUs: {refusal}")
    if isinstance(fp16, Fp16Model) and fp16.out_of_range.tensors:
        found.append(
            f"FP16 ends at 65,504: {largest_of(fp16.out_of_range.tensors)} stay in FP32 in the "
            "graphs for GPUs, which makes them slower"
        )
    if isinstance(fp16, Fp16Model) and fp16.out_of_range.sums:
        found.append(
            f"FP16 ends at 65,504, and larger sums occur inside the operators that compute "
            f"{largest_of(fp16.out_of_range.sums)}: they stay in FP32 in the graphs for GPUs"
        )
    if quantized is None:
        return found
    if quantized.shared_images:
        found.append(
            f"{quantized.shared_images} validation images are calibration images too, byte for "
            "byte: INT8 was fitted to them, so its accuracy on them is too good. Keep the two apart"
        )
    if quantized.float32_reason is not None and TENSORRT.name in quantized.held():
        found.append(
            "the float layers of the INT8 graph for tensorrt stay in FP32: "
            f"{quantized.float32_reason}"
        )
    absent = quantized.absent()
    return found + [f"no INT8 graph for {name}: {reason}" for name, reason in absent.items()]
