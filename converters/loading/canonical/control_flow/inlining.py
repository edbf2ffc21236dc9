"""Copies the subgraph of a node into the graph around it, with unused names."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from converters.onnx_graph.editing import copy_of, free_name
from converters.onnx_graph.nested import rename_captured


class Renamer:
    """A copy of a subgraph. Its own tensors get new names; outer tensors keep theirs.

    Args:
        taken: the names in the graph around it; new names are added.
        given: for each input of the subgraph, the outer tensor that replaces it.
    """

    def __init__(
        self, held: onnx.GraphProto, taken: set[str], given: Mapping[str, str] | None = None
    ) -> None:
        self._held = held
        self._names = dict(given or {})
        own = [name for node in held.node for name in node.output if name]
        own += [tensor.name for tensor in held.initializer]
        for name in own:
            self._names[name] = free_name(name, taken)

    def renamed(self, name: str) -> str:
        """The new name of a tensor of the subgraph."""
        return self._names.get(name, name)

    def nodes(self) -> list[onnx.NodeProto]:
        """Copies of the subgraph's nodes."""
        return [self._copy(node) for node in self._held.node]

    def initializers(self) -> list[onnx.TensorProto]:
        """Copies of the subgraph's initializers."""
        copies = []
        for tensor in self._held.initializer:
            copies.append(copy_of(tensor))
            copies[-1].name = self.renamed(tensor.name)
        return copies

    def _copy(self, node: onnx.NodeProto) -> onnx.NodeProto:
        copy = copy_of(node)
        copy.ClearField("name")
        for names in (copy.input, copy.output):
            for position, name in enumerate(names):
                names[position] = self.renamed(name)
        rename_captured(copy, self._names)
        return copy
