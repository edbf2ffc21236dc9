"""Where a target wants its Q/DQ pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

WEIGHTED: Final = frozenset({"Conv", "Gemm", "MatMul"})
# A tensor that is constant zero still needs a scale. FP16 scales below 2^-24 are zero, which
# TensorRT's parser refuses; from 2^-20 on they are rounded by less than 4 %, for Q and DQ alike.
MIN_SCALE: Final = 1e-8
MIN_HALF_SCALE: Final = 2.0**-20
# These change no value; left in float they would put two conversions between integer layers.
MOVING: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True, slots=True)
class Placement:
    """The rules of one target.

    Attributes:
        symmetric: signed activations with zero point 0, otherwise unsigned ones.
        arithmetic: operators besides convolutions and linear layers whose inputs are quantized.
        both_sides_of_add: quantize both inputs of an addition, otherwise its identity alone.
        integer_bias: store biases as 32-bit integers, otherwise as floats.
        weight_steps: the largest quantized weight.
        float_weights: keep weights as floats behind a Q/DQ pair, otherwise as integers behind DQ.
        half_floats: FP16 for what stays float.
        may_choose_fp16: the target runs in FP16 what it likes of what stays float.
        needs_vnni: for processors that add products of 8-bit integers in 32 bits.
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
        """The smallest scale that the graph may hold."""
        return MIN_HALF_SCALE if self.half_floats else MIN_SCALE

    def held(self, scale: ArrayLike) -> NDArray[np.float32]:
        """Scales as the graph will hold them.

        Layers are corrected before the graph goes to FP16: with the scales that it then has.
        """
        exact = np.asarray(scale, np.float32)
        if not self.half_floats:
            return exact
        with np.errstate(over="ignore"):
            half = exact.astype(np.float16).astype(np.float32)
        # A tensor whose scale leaves FP16 leaves it too, and stays in FP32.
        return np.where(np.isfinite(half), half, exact)


# ONNX Runtime runs a layer in integers when all its inputs and its output are quantized. The
# hard activations have no integer form, but a convolution before one has only with its output
# quantized too.
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

# Without VNNI the sum of two products of 8 bits saturates at 16; seven bits of weight do not.
X86_7BIT: Final = replace(X86, name="x86-7bit", weight_steps=63, needs_vnni=False)

# NVIDIA's rules for explicit quantization: inputs of weighted layers, not their outputs; of a
# residual addition the identity alone, so that the addition is fused into the convolution.
TENSORRT: Final = Placement(
    name="tensorrt",
    symmetric=True,
    arithmetic=frozenset(),
    both_sides_of_add=False,
    integer_bias=False,
    float_weights=True,
    half_floats=True,
)

# TensorRT 8 reads no FP16 scales; it chooses FP16 itself where it is allowed to.
TENSORRT8: Final = replace(TENSORRT, name="tensorrt8", half_floats=False, may_choose_fp16=True)
