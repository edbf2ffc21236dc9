"""Emulates on the CPU what a GPU computes for a graph in FP16.

On the CPU, ONNX Runtime computes FP16 graphs in FP32 and rounds only in few places, so overflow and
rounding errors would not show. So the graph is rewritten in FP32, and each tensor that was FP16 is
cast to FP16 and back. Within an operator, sums are in FP32, as by default in TensorRT's kernels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from converters.onnx_graph.editing import copy_of
from converters.onnx_graph.lookup import tensor_types

_FP32, _FP16 = TensorProto.FLOAT, TensorProto.FLOAT16
_UNROUNDED: Final = "{}_unrounded"
_HALF: Final = "{}_half"


def emulate_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """An FP32 graph that rounds each tensor to FP16 that is FP16 in `model`.

    Raises:
        ValueError: a tensor has no type that ONNX can infer.
    """
    types = tensor_types(model)
    emulated = copy_of(model)
    graph = emulated.graph
    for tensor in graph.initializer:
        if tensor.data_type == _FP16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes = []
    for node in graph.node:
        copy = copy_of(node)
        for attribute in copy.attribute:
            if copy.op_type == "Cast" and attribute.name == "to" and attribute.i == _FP16:
                attribute.i = _FP32
        made = [name for name in node.output if name and _is_half(name, types)]
        for position, name in enumerate(node.output):
            if name in made:
                copy.output[position] = _UNROUNDED.format(name)
        nodes += [copy, *(step for name in made for step in _rounding(name))]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return emulated


def _is_half(name: str, types: dict[str, int]) -> bool:
    if name not in types:
        raise ValueError(f"the type of {name} is not known")
    return types[name] == _FP16


def _rounding(name: str) -> list[onnx.NodeProto]:
    steps = _UNROUNDED.format(name), _HALF.format(name), name
    return [
        helper.make_node("Cast", [steps[0]], [steps[1]], name=steps[1], to=_FP16),
        helper.make_node("Cast", [steps[1]], [steps[2]], name=f"{name}_rounded", to=_FP32),
    ]
