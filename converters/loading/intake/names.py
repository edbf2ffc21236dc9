"""Names that the converter's own cannot meet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import onnx

from converters.loading.intake.subject.subject import Subject
from converters.onnx_graph.nested import bodies

INPUT: Final = "input"
OUTPUT: Final = "output"
# What the converter names itself, and the words that it puts behind the name of a tensor or layer.
# A name that ends in a dot is neither, and whatever is put behind it is neither of another name.
_OURS: Final = re.compile(
    r"(images|logits|normalise|channels_first|as_float|rows|image_shape|input|output)\w*"
    r"|.*_(q|dq|scale|zero|weight|bias|rounded|pool|pooled|flatten|cast|fp16|half|float|of_.*)"
)


def drop_doubled_names(subject: Subject) -> None:
    """Take names off nodes where several share one, which ONNX allows and ONNX Runtime not."""
    seen: set[str] = set()
    for node in subject.model.graph.node:
        if node.name in seen:
            node.ClearField("name")
        seen.add(node.name)


def drop_blank_ends(subject: Subject) -> None:
    """Take off inputs that are left out at the end of a node.

    ONNX allows them, and ONNX Runtime's LayerNormalization crashes on them.
    """
    for node in subject.model.graph.node:
        if not any(True for _ in bodies(node)):
            while node.input and not node.input[-1]:
                node.input.pop()


def safe_names(subject: Subject) -> None:
    """Give every node a name of its own, and each tensor one that no later step makes up."""
    graph = subject.model.graph
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
    """Distinct names to distinct names."""
    new = {"": ""}
    taken = set(names) | {INPUT, OUTPUT}
    for name in dict.fromkeys(names):
        if name not in new:
            new[name] = _free(f"{name}.", taken) if is_ours(name) else name
    return new


def is_ours(name: str) -> bool:
    """Whether the converter might give this name to something of its own."""
    return bool(_OURS.fullmatch(name))


def _free(hint: str, taken: set[str]) -> str:
    name = hint
    while name in taken:
        name += "."
    taken.add(name)
    return name


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Layers are told apart by their names, and ONNX asks for none."""
    taken: set[str] = set()
    for node in graph.node:
        hint = node.name or f"{node.op_type}_of_{node.output[0]}"
        node.name = _free(f"{hint}." if is_ours(hint) else hint, taken)
