"""Which inputs and outputs of an operator take FP16, read from ONNX's own type rules.

An operator's schema binds its inputs and outputs to type variables. Those that share a variable
have one type: a Resize of FP16 pixels gives FP16 pixels. What has a variable of its own and is no
output says where or how much (a Resize's region, a grid of coordinates), and stays in FP32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import onnx
from onnx import defs

QUANTIZERS: Final = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Their variables are apart only so that statistics and exponents may have another precision;
# TensorRT wants one type for all of them.
_ONE_TYPE: Final = frozenset({"BatchNormalization", "Pow"})
_BOTH: Final = frozenset({"tensor(float)", "tensor(float16)"})


@dataclass(frozen=True, slots=True)
class FloatPorts:
    """An operator's inputs and outputs, by position, that are FP16 where the node runs in FP16.

    Attributes:
        typed_by_inputs: whether each output has the type of an input. Otherwise an attribute, or
            the operator itself, says FP32.
    """

    inputs: tuple[bool, ...]
    outputs: tuple[bool, ...]
    typed_by_inputs: tuple[bool, ...]


def float_ports(node: onnx.NodeProto, opset: int) -> FloatPorts | None:
    """The ports of a standard operator, None where ONNX does not know it."""
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
    """The type variable of each of a node's inputs or outputs; the last formal one may repeat."""
    return [formal[min(position, len(formal) - 1)].type_str for position in range(count)]
