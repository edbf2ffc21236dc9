"""Handles subgraphs: the bodies of If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The subgraphs of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of all its subgraphs."""
    for node in nodes:
        yield node
        for body in bodies(node):
            yield from all_nodes(body.node)


def all_names(graph: onnx.GraphProto) -> set[str]:
    """The names of all tensors in a graph and its subgraphs."""
    names = {value.name for value in (*graph.input, *graph.output)}
    names |= {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        names.update(node.input)
        names.update(node.output)
        for body in bodies(node):
            names |= all_names(body)
    return names


def names_read(graph: onnx.GraphProto) -> set[str]:
    """The tensors that a graph's nodes, their subgraphs or its outputs read."""
    found = {value.name for value in graph.output}
    for node in graph.node:
        found.update(node.input)
        found.update(captured(node))
    return found


def captured(node: onnx.NodeProto) -> list[str]:
    """The outer tensors that a node's subgraphs read, in order, each once."""
    return list(dict.fromkeys(name for body in bodies(node) for name in _reads_from_outside(body)))


def rename_captured(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Rename the outer tensors that a node's subgraphs read, in place."""
    for body in bodies(node):
        outer = {old: new for old, new in names.items() if old not in _own_names(body)}
        for inner in body.node:
            for position, name in enumerate(inner.input):
                inner.input[position] = outer.get(name, name)
            rename_captured(inner, outer)
        for value in body.output:
            value.name = outer.get(value.name, value.name)


def _reads_from_outside(body: onnx.GraphProto) -> Iterator[str]:
    own = _own_names(body)
    reads = [name for node in body.node for name in (*node.input, *captured(node))]
    reads += [value.name for value in body.output]
    yield from (name for name in reads if name and name not in own)


def _own_names(body: onnx.GraphProto) -> set[str]:
    return {
        *(value.name for value in body.input),
        *(tensor.name for tensor in body.initializer),
        *(name for node in body.node for name in node.output),
    }
