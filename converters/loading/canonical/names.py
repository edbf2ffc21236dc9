"""Renames tensors and nodes, so that they cannot collide with names that the converter adds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import onnx

from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.onnx_graph.nested import bodies

INPUT: Final = "input"
OUTPUT: Final = "output"
# Names that the converter uses, and suffixes that it adds to names of tensors and layers. A
# colliding name gets a dot at its end: with any suffix it still differs from all other names.
_OURS: Final = re.compile(
    r"(images|logits|normalise|channels_first|as_float|rows|image_shape|input|output)\w*"
    r"|.*_(q|dq|scale|zero|weight|bias|rounded|pool|pooled|flatten|cast|fp16|half|float|of_.*)"
)


def drop_duplicate_names(working: WorkingModel) -> None:
    """Remove names that several nodes share; ONNX allows them, but ONNX Runtime does not."""
    seen: set[str] = set()
    for node in working.model.graph.node:
        if node.name in seen:
            node.ClearField("name")
        seen.add(node.name)


def drop_trailing_blanks(working: WorkingModel) -> None:
    """Remove empty optional inputs at the end of a node's inputs.

    ONNX allows them, but ONNX Runtime's LayerNormalization crashes on them.
    """
    for node in working.model.graph.node:
        if not any(True for _ in bodies(node)):
            while node.input and not node.input[-1]:
                node.input.pop()


def safe_names(working: WorkingModel) -> None:
    """Give every node a unique name, and each tensor one that no later step can use."""
    graph = working.model.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    names += [tensor.name for tensor in graph.initializer]
    new = _new_names(names)
    new[graph.input[0].name], new[graph.output[0].name] = INPUT, OUTPUT
    for node in graph.node:
        for held in (node.input, node.output):
            for position, name in enumerate(held):
                held[position] = new[name]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new[value.name]
    _name_nodes(graph)


def _new_names(names: Iterable[str]) -> dict[str, str]:
    """The new name of each name; distinct names stay distinct."""
    new = {"": ""}
    taken = set(names) | {INPUT, OUTPUT}
    for name in dict.fromkeys(names):
        if name not in new:
            new[name] = _free(f"{name}.", taken) if is_reserved(name) else name
    return new


def is_reserved(name: str) -> bool:
    """Whether the converter might use this name for a tensor or node that it adds."""
    return bool(_OURS.fullmatch(name))


def _free(hint: str, taken: set[str]) -> str:
    name = hint
    while name in taken:
        name += "."
    taken.add(name)
    return name


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a unique name, as layers are identified by name."""
    taken: set[str] = set()
    for node in graph.node:
        hint = node.name or f"{node.op_type}_of_{node.output[0]}"
        node.name = _free(f"{hint}." if is_reserved(hint) else hint, taken)
