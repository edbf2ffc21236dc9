"""Changes an ONNX graph in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper

from converters.onnx_graph.nested import all_names, captured

Message = TypeVar("Message", onnx.ModelProto, onnx.NodeProto, onnx.TensorProto, onnx.ValueInfoProto)


def copy_of(message: Message) -> Message:
    """An independent copy of a model or of a part of it."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def free_name(hint: str, taken: set[str]) -> str:
    """A name that is not in `taken`; it is added."""
    name, number = hint, 1
    while name in taken:
        name, number = f"{hint}_{number}", number + 1
    taken.add(name)
    return name


def fresh_name(model: onnx.ModelProto, hint: str) -> str:
    """A tensor name that the graph does not have yet."""
    return free_name(hint, all_names(model.graph))


def add_constant(model: onnx.ModelProto, hint: str, value: NDArray[Any]) -> str:
    """Add an initializer; returns its name."""
    name = fresh_name(model, hint)
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def int_list(model: onnx.ModelProto, hint: str, values: Iterable[int]) -> str:
    """Add a list of integers as an initializer; returns its name."""
    return add_constant(model, hint, np.array(list(values), np.int64))


def set_nodes(model: onnx.ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Replace the graph's nodes."""
    copies = [copy_of(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def insert_before(model: onnx.ModelProto, reader: NodeProto, added: Iterable[NodeProto]) -> None:
    """Insert nodes before another one."""
    place = _place(model, reader)
    for offset, node in enumerate(added):
        model.graph.node.insert(place + offset, node)


def replace(model: onnx.ModelProto, old: NodeProto, new: Iterable[NodeProto]) -> None:
    """Replace a node by others."""
    place, nodes = _place(model, old), list(model.graph.node)
    set_nodes(model, [*nodes[:place], *new, *nodes[place + 1 :]])


def _place(model: onnx.ModelProto, node: NodeProto) -> int:
    # Each tensor is computed by one node, so its outputs identify a node.
    return next(i for i, other in enumerate(model.graph.node) if other.output == node.output)


def bypass(model: onnx.ModelProto, old: str, new: str) -> None:
    """Make all readers of one tensor, and the graph's outputs, use another one."""
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new
    for value in model.graph.output:
        if value.name == old:
            value.name = new


def prune(model: onnx.ModelProto) -> None:
    """Remove nodes and initializers that no output needs, and all inferred shapes."""
    needed = {value.name for value in model.graph.output}
    live: list[NodeProto] = []
    for node in reversed(list(model.graph.node)):
        if any(name in needed for name in node.output):
            live.append(node)
            needed.update(node.input)
            needed.update(captured(node))
    set_nodes(model, live[::-1])
    kept = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    if len(kept) < len(model.graph.initializer):
        copies = [copy_of(tensor) for tensor in kept]
        del model.graph.initializer[:]
        model.graph.initializer.extend(copies)
    del model.graph.value_info[:]
