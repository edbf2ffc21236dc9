"""Searches an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

Constants = Mapping[str, onnx.TensorProto]

STANDARD_DOMAINS: Final = ("", "ai.onnx")


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The initializers by name; as tensors, since arrays can be large."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def array(known: Constants, name: str) -> NDArray[Any] | None:
    """The value of a constant; None if the tensor is not a constant."""
    tensor = known.get(name)
    return None if tensor is None else numpy_helper.to_array(tensor)


def constant_arrays(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """The values of all initializers by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs without weights, which older graphs list as inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def producers(model: onnx.ModelProto) -> dict[str, NodeProto]:
    """The node that computes each tensor, by tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def readers(model: onnx.ModelProto, name: str) -> list[NodeProto]:
    """The nodes that read a tensor."""
    return [node for node in model.graph.node if name in node.input]


def readers_by_tensor(nodes: Iterable[NodeProto]) -> dict[str, list[NodeProto]]:
    """The nodes that read each tensor, by tensor, in the order of the graph."""
    found: dict[str, list[NodeProto]] = {}
    for node in nodes:
        for name in dict.fromkeys(node.input):
            found.setdefault(name, []).append(node)
    return found


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that a graph declares; 0 if none."""
    return max((o.version for o in model.opset_import if o.domain in STANDARD_DOMAINS), default=0)


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every tensor in a graph, by name."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in model.graph.initializer}
