"""Finds the inputs and outputs of an operator that can be FP16, from ONNX's operator schemas.

A schema assigns type variables to inputs and outputs. Those with the same variable have the same
type: a Resize of FP16 pixels gives FP16 pixels. An input whose variable no output has is a position
or a size (a Resize's region, a grid of coordinates), and stays in FP32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import onnx
from onnx import defs

QUANTIZERS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
# These have separate variables so that statistics and exponents may have another precision, but
# TensorRT needs the same type for all inputs.
_ONE_TYPE: Final = frozenset({"BatchNormalization", "Pow"})
_BOTH: Final = frozenset({"tensor(float)", "tensor(float16)"})


@dataclass(frozen=True, slots=True)
class FloatPorts:
    """Which inputs and outputs of a node, by position, are FP16 if the node runs in FP16.

    Attributes:
        typed_by_inputs: whether each output has the type of an input. Otherwise an attribute or
            the operator's definition makes it FP32.
    """

    inputs: tuple[bool, ...]
    outputs: tuple[bool, ...]
    typed_by_inputs: tuple[bool, ...]


def float_ports(node: onnx.NodeProto, opset: int) -> FloatPorts | None:
    """The ports of a standard operator; None if ONNX does not define it."""
    try:
        schema = defs.get_schema(node.op_type, opset, node.domain)
    except defs.SchemaError:
        return None
    halves = {
        constraint.type_param_str
        for constraint in schema.type_constraints
        if set(constraint.allowed_type_strs) >= _BOTH
    }
    inputs = _variables(schema.inputs, len(node.input))
    outputs = _variables(schema.outputs, len(node.output))
    all_inputs = node.op_type in QUANTIZERS | _ONE_TYPE or not halves.intersection(outputs)
    return FloatPorts(
        inputs=tuple(name in halves and (all_inputs or name in outputs) for name in inputs),
        outputs=tuple(name in halves for name in outputs),
        typed_by_inputs=tuple(name in inputs or node.op_type in QUANTIZERS for name in outputs),
    )


def _variables(formal: Sequence[defs.OpSchema.FormalParameter], count: int) -> list[str]:
    """The type variable of each input or output; the last formal parameter may repeat."""
    return [formal[min(position, len(formal) - 1)].type_str for position in range(count)]
