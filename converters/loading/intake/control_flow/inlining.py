"""Take a graph that a node holds into the graph around it, under names that are free there."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from converters.loading.intake.editing import subgraphs


class Renamer:
    """One copy of a held graph. Its own tensors get new names, outer ones keep theirs.

    Args:
        taken: the names of the graph around it; the new ones are added.
        given: names of the held graph's inputs to those of the tensors that stand for them.
    """

    def __init__(
        self, held: onnx.GraphProto, taken: set[str], given: Mapping[str, str] | None = None
    ) -> None:
        self._held = held
        self._names = dict(given or {})
        own = [name for node in held.node for name in node.output if name]
        own += [tensor.name for tensor in held.initializer]
        for name in own:
            self._names[name] = new = _free(taken, name)
            taken.add(new)

    def renamed(self, name: str) -> str:
        """The name of a tensor of the held graph in the graph around it."""
        return self._names.get(name, name)

    def nodes(self) -> list[onnx.NodeProto]:
        """Copies of the held graph's nodes."""
        return [self._copy(node) for node in self._held.node]

    def initializers(self) -> list[onnx.TensorProto]:
        """Copies of the held graph's initializers."""
        copies = []
        for tensor in self._held.initializer:
            copies.append(onnx.TensorProto.FromString(tensor.SerializeToString()))
            copies[-1].name = self.renamed(tensor.name)
        return copies

    def _copy(self, node: onnx.NodeProto) -> onnx.NodeProto:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.ClearField("name")
        for names in (copy.input, copy.output):
            for position, name in enumerate(names):
                names[position] = self.renamed(name)
        for graph in subgraphs(copy):
            self._rename_outer(graph)
        return copy

    def _rename_outer(self, graph: onnx.GraphProto) -> None:
        """What a graph within reads of the renamed tensors; ONNX has no name twice in a scope."""
        for node in graph.node:
            for position, name in enumerate(node.input):
                node.input[position] = self.renamed(name)
            for inner in subgraphs(node):
                self._rename_outer(inner)
        for value in graph.output:
            value.name = self.renamed(value.name)


def all_names(graph: onnx.GraphProto) -> set[str]:
    """The names of all tensors of a graph and of the graphs in it."""
    names = {value.name for value in (*graph.input, *graph.output)}
    names |= {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        names.update(node.input)
        names.update(node.output)
        for inner in subgraphs(node):
            names |= all_names(inner)
    return names


def _free(taken: set[str], hint: str) -> str:
    name, number = hint, 1
    while name in taken:
        name, number = f"{hint}_{number}", number + 1
    return name
