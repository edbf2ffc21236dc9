"""The rules of each target for its Q/DQ pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

WEIGHTED: Final = frozenset({"Conv", "Gemm", "MatMul"})
# A tensor that is always zero still needs a scale. FP16 scales below 2^-24 become zero, which
# TensorRT's parser refuses; from 2^-20 on they are rounded by less than 4 %, equally for Q and DQ.
MIN_SCALE: Final = 1e-8
MIN_HALF_SCALE: Final = 2.0**-20
# These change no values. In float, each would need two conversions between integer layers.
MOVING: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True, slots=True)
class Placement:
    """The rules of one target.

    Attributes:
        symmetric: signed activations with zero point 0, otherwise unsigned ones.
        arithmetic: operators besides convolutions and linear layers whose inputs are quantized.
        both_sides_of_add: quantize both inputs of an addition, otherwise only the skip connection.
        integer_bias: store biases as 32-bit integers, otherwise as floats.
        weight_steps: the largest integer of a quantized weight.
        float_weights: keep weights as floats behind a Q/DQ pair, otherwise as integers behind DQ.
        half_floats: everything that stays float is FP16.
        may_choose_fp16: the target may run any float layer in FP16.
        needs_vnni: only for processors that sum products of 8-bit integers in 32 bits.
    """

    name: str
    symmetric: bool
    arithmetic: frozenset[str]
    both_sides_of_add: bool
    integer_bias: bool
    weight_steps: int = 127
    float_weights: bool = False
    half_floats: bool = False
    may_choose_fp16: bool = False
    needs_vnni: bool = False

    @property
    def moving(self) -> frozenset[str]:
        """Operators that are quantized to keep integer layers together."""
        return MOVING if self.integer_bias else frozenset()

    @property
    def min_scale(self) -> float:
        """The smallest scale that may be used in the graph."""
        return MIN_HALF_SCALE if self.half_floats else MIN_SCALE

    def held(self, scale: ArrayLike) -> NDArray[np.float32]:
        """Scales as they will be stored in the graph, rounded to FP16 if it uses FP16.

        Layers are corrected before the graph is converted to FP16, but with these scales.
        """
        exact = np.asarray(scale, np.float32)
        if not self.half_floats:
            return exact
        with np.errstate(over="ignore"):
            half = exact.astype(np.float16).astype(np.float32)
        # If a scale exceeds FP16's range, the tensor does too, and stays in FP32.
        return np.where(np.isfinite(half), half, exact)


# ONNX Runtime runs a layer in integers if all its inputs and its output are quantized. It has no
# integer kernels for HardSigmoid and HardSwish; they are listed so that the output of the
# convolution before them is quantized.
X86: Final = Placement(
    name="x86",
    symmetric=False,
    arithmetic=frozenset(
        {
            *("Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool", "MaxPool"),
            *("Sigmoid", "HardSigmoid", "HardSwish"),
        }
    ),
    both_sides_of_add=True,
    integer_bias=True,
    needs_vnni=True,
)

# Without VNNI the sum of two 8-bit products saturates at 16 bits; with 7-bit weights it does not.
X86_7BIT: Final = replace(X86, name="x86-7bit", weight_steps=63, needs_vnni=False)

# NVIDIA's rules for explicit quantization: quantize inputs of weighted layers, not outputs; of a
# residual addition only the skip connection, so that the addition is fused into the convolution.
TENSORRT: Final = Placement(
    name="tensorrt",
    symmetric=True,
    arithmetic=frozenset(),
    both_sides_of_add=False,
    integer_bias=False,
    float_weights=True,
    half_floats=True,
)

# TensorRT 8 cannot read FP16 scales; it chooses FP16 itself if it is allowed to.
TENSORRT8: Final = replace(TENSORRT, name="tensorrt8", half_floats=False, may_choose_fp16=True)
