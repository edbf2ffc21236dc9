"""Looking things up in an ONNX graph and changing it, in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, helper, numpy_helper

Constants = Mapping[str, onnx.TensorProto]


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The initializers by name, not yet as arrays: they can be large."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def array(known: Constants, name: str) -> NDArray[Any] | None:
    """The value of a constant, None where the tensor is computed or left out."""
    tensor = known.get(name)
    return None if tensor is None else numpy_helper.to_array(tensor)


def producers(model: onnx.ModelProto) -> dict[str, NodeProto]:
    """By tensor the node that computes it."""
    return {name: node for node in model.graph.node for name in node.output if name}


def readers(model: onnx.ModelProto, name: str) -> list[NodeProto]:
    """The nodes that read a tensor."""
    return [node for node in model.graph.node if name in node.input]


def fresh_name(model: onnx.ModelProto, hint: str) -> str:
    """A tensor name that the graph does not have yet."""
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*model.graph.input, *model.graph.output)}
    taken |= {tensor.name for tensor in model.graph.initializer}
    name, number = hint, 1
    while name in taken:
        name, number = f"{hint}_{number}", number + 1
    return name


def add_constant(model: onnx.ModelProto, hint: str, value: NDArray[Any]) -> str:
    """Add an initializer and give its name."""
    name = fresh_name(model, hint)
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def int_list(model: onnx.ModelProto, hint: str, values: Iterable[int]) -> str:
    """Add a list of whole numbers as an initializer and give its name."""
    return add_constant(model, hint, np.array(list(values), np.int64))


def set_nodes(model: onnx.ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Replace the graph's nodes."""
    copies = []
    for node in nodes:
        copies.append(NodeProto())
        copies[-1].CopyFrom(node)
    del model.graph.node[:]
    model.graph.node.extend(copies)


def insert_before(model: onnx.ModelProto, reader: NodeProto, added: Iterable[NodeProto]) -> None:
    """Put nodes in front of another one."""
    place = _place(model, reader)
    for offset, node in enumerate(added):
        model.graph.node.insert(place + offset, node)


def replace(model: onnx.ModelProto, old: NodeProto, new: Iterable[NodeProto]) -> None:
    """Put nodes in the place of one."""
    place, nodes = _place(model, old), list(model.graph.node)
    set_nodes(model, [*nodes[:place], *new, *nodes[place + 1 :]])


def _place(model: onnx.ModelProto, node: NodeProto) -> int:
    # Tensors are computed once, so that its outputs tell a node.
    return next(i for i, other in enumerate(model.graph.node) if other.output == node.output)


def bypass(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let everything that reads one tensor, and the graph's outputs, read another one."""
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new
    for value in model.graph.output:
        if value.name == old:
            value.name = new


def prune(model: onnx.ModelProto) -> None:
    """Drop nodes and initializers that no output needs, and what was inferred of them."""
    needed = {value.name for value in model.graph.output}
    live: list[NodeProto] = []
    for node in reversed(list(model.graph.node)):
        if any(name in needed for name in node.output):
            live.append(node)
            needed.update(node.input)
            needed.update(name for graph in subgraphs(node) for name in names_read(graph))
    set_nodes(model, live[::-1])
    kept = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    if len(kept) < len(model.graph.initializer):
        copies = [numpy_copy(tensor) for tensor in kept]
        del model.graph.initializer[:]
        model.graph.initializer.extend(copies)
    del model.graph.value_info[:]


def numpy_copy(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """An independent copy of a tensor."""
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    return copy


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """An independent copy of a model."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def subgraphs(node: NodeProto) -> list[onnx.GraphProto]:
    """The graphs that a node holds: branches, or the body of a loop."""
    found = []
    for held in node.attribute:
        if held.type == AttributeProto.GRAPH:
            found.append(held.g)
        found.extend(held.graphs)
    return found


def names_read(graph: onnx.GraphProto) -> set[str]:
    """All names that a graph and the graphs in it read; outer values are among them."""
    found = {value.name for value in graph.output}
    for node in graph.node:
        found.update(node.input)
        found.update(name for inner in subgraphs(node) for name in names_read(inner))
    return found
