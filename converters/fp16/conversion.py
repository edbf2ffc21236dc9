"""Converts the float part of a graph to FP16.

TensorRT 10 and later use the types in the graph: everything neither quantized nor FP16 runs in
FP32.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from converters.fp16.half_nodes import HalfNodes
from converters.fp16.opset import with_half_scales
from converters.fp16.range_check import NONE_OUT_OF_RANGE, OutOfRange
from converters.onnx_graph.constants import constant_nodes_to_initializers
from converters.onnx_graph.editing import copy_of, free_name
from converters.onnx_graph.lookup import constants, opset_of, tensor_types
from converters.onnx_graph.nested import captured, rename_captured

_FP32, _FP16 = int(TensorProto.FLOAT), int(TensorProto.FLOAT16)
_SUFFIX: Final = {_FP32: "fp32", _FP16: "fp16"}
_LARGEST: Final = float(np.finfo(np.float16).max)
_SMALLEST: Final = np.finfo(np.float16).smallest_subnormal


def to_fp16(
    model: onnx.ModelProto, out_of_range: OutOfRange = NONE_OUT_OF_RANGE
) -> onnx.ModelProto:
    """A copy with FP16 floats where the operators allow it, and with FP32 logits.

    FP16 holds values up to 65,504 with 11 bits of precision. The caller names the tensors that
    exceed this, and must check the accuracy of the result.

    Args:
        model: FP32, quantized or not, one graph with static types.
        out_of_range: values that FP16 cannot hold; nodes that read, compute or sum them stay FP32.

    Raises:
        RuntimeError, ValueError: from `onnx`, for a graph that it cannot convert.
    """
    converted = with_half_scales(copy_of(model))
    # The opset converter writes constants as nodes; below only initializers are handled.
    constant_nodes_to_initializers(converted)
    return _HalfWriter(converted, out_of_range).written()


class _HalfWriter:
    """Rewrites the nodes, each with its inputs in the type that it needs."""

    def __init__(self, model: onnx.ModelProto, out_of_range: OutOfRange) -> None:
        self._model = model
        self._types = tensor_types(model)
        self._constants = constants(model)
        large = {n for n, t in self._constants.items() if t.data_type == _FP32 and _overflows(t)}
        kept = {*out_of_range.tensors, *large}
        self._half = HalfNodes(model, opset_of(model), self._types, kept, out_of_range.sums)
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in (*node.input, *captured(node)):
                self._readers.setdefault(name, []).append(node)
        self._ends = {v.name for v in model.graph.output if self._types.get(v.name) == _FP32}
        # The name of each tensor in each type; the second type is a copy behind a Cast.
        self._named: dict[tuple[str, int], str] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}
        self._taken = set(self._types)

    def written(self) -> onnx.ModelProto:
        """Rewrite all nodes; returns the checked graph."""
        graph = self._model.graph
        for value in graph.input:
            self._named[value.name, self._types[value.name]] = value.name
        for node in graph.node:
            self._write(node)
        for name in sorted(self._ends):
            self._finish(name)
        for output in graph.output:
            # An output may be a constant or an input.
            self._as_type(output.name, self._types.get(output.name, _FP32))
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._tensors.values())
        onnx.checker.check_model(self._model, full_check=True)
        return self._model

    def _write(self, node: onnx.NodeProto) -> None:
        copy = copy_of(node)
        ports = self._half.ports_of(node)
        is_half = ports is not None
        for position, name in enumerate(node.input):
            if name:
                is_half_input = ports is not None and ports.inputs[position]
                copy.input[position] = self._as_type(name, _FP16 if is_half_input else _FP32)
        rename_captured(copy, {name: self._as_type(name, _FP32) for name in captured(node)})
        if node.op_type == "Cast" and self._outputs_fp16(node):
            is_half = True
            next(a for a in copy.attribute if a.name == "to").i = _FP16
        for position, name in enumerate(node.output):
            if name:
                is_half_output = is_half and (ports is None or ports.outputs[position])
                copy.output[position] = self._made(name, _FP16 if is_half_output else _FP32)
        self._nodes.append(copy)

    def _outputs_fp16(self, node: onnx.NodeProto) -> bool:
        """Whether a Cast to FP32 is read only by nodes in FP16."""
        name = node.output[0]
        if self._types.get(name) != _FP32 or name in self._ends:
            return False
        return all(
            (ports := self._half.ports_of(reader)) is not None
            and all(
                is_half
                for read, is_half in zip(reader.input, ports.inputs, strict=True)
                if read == name
            )
            for reader in self._readers.get(name, [])
        )

    def _made(self, name: str, wanted: int) -> str:
        """The name of a node's output, in the wanted type if it is a float."""
        is_float = self._types.get(name) == _FP32
        kind = wanted if is_float else self._types.get(name, TensorProto.UNDEFINED)
        own = (
            free_name(f"{name}_fp16", self._taken) if name in self._ends and kind == _FP16 else name
        )
        self._named[name, kind] = own
        return own

    def _as_type(self, name: str, wanted: int) -> str:
        """The name of a tensor in the wanted type; tensors other than floats keep their type."""
        known = self._types.get(name, TensorProto.UNDEFINED)
        kind = wanted if known == _FP32 else known
        if (name, kind) not in self._named:
            constant = self._constants.get(name)
            self._named[name, kind] = (
                self._cast(name, kind) if constant is None else self._constant(constant, kind)
            )
        return self._named[name, kind]

    def _cast(self, name: str, kind: int) -> str:
        source = self._named[name, _FP32 if kind == _FP16 else _FP16]
        copy = free_name(f"{name}_{_SUFFIX[kind]}", self._taken)
        self._nodes.append(helper.make_node("Cast", [source], [copy], name=copy, to=kind))
        return copy

    def _constant(self, tensor: TensorProto, kind: int) -> str:
        is_second = tensor.name in self._tensors
        name = (
            free_name(f"{tensor.name}_{_SUFFIX[kind]}", self._taken)
            if is_second
            else str(tensor.name)
        )
        values = _half(tensor) if kind == _FP16 else numpy_helper.to_array(tensor)
        self._tensors[name] = numpy_helper.from_array(values, name)
        return name

    def _finish(self, name: str) -> None:
        """Cast an output of the graph that is computed in FP16 to FP32."""
        if (name, _FP32) not in self._named:
            source = self._named[name, _FP16]
            cast = helper.make_node("Cast", [source], [name], name=f"{name}_cast", to=_FP32)
            self._nodes.append(cast)
            self._named[name, _FP32] = name


def _half(tensor: TensorProto) -> NDArray[np.float16]:
    values = numpy_helper.to_array(tensor)
    half = values.astype(np.float16)
    # A single number may be a factor, or an epsilon such as 1e-12 that is added to a divisor. It
    # must not be rounded to zero.
    if values.size == 1 and values.any() and not half.any():
        half = np.copysign(_SMALLEST, values).astype(np.float16)
    return half


def _overflows(tensor: TensorProto) -> bool:
    values = numpy_helper.to_array(tensor)
    # Infinities are not counted: FP16 has them too, and attention masks use them.
    return bool((np.abs(values[np.isfinite(values)]) > _LARGEST).any())
