"""Finds the random operator in a torch module and its line of code. Runs in the child process."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from converters.loading.canonical.training_mode import in_training_mode
from edge.errors import ModelError

# Lines of code in a Python stack and in a trace of TorchScript.
_LINE: Final = re.compile(r'File "([^"]+\.py)", line (\d+)|^(.+\.py)\((\d+)\)', re.MULTILINE)
# Begins the part of a TorchScript trace about its own code.
_SERIALIZED: Final = "Serialized"
# Code of this package and of torch, which is not the network's.
_NOT_ITS_OWN: Final = Path(__file__).parents[2]
_LIBRARY: Final = "torch"
_READS_MODE: Final = 'prim::GetAttr[name="training"]'


def random_outputs(module: nn.Module, name: str, images: Tensor) -> ModelError:
    """The error for a module in evaluation mode with different outputs for the same image.

    Args:
        images: (n, 3, h, w) that it runs on.
    """
    scripts = [part for part in module.modules() if isinstance(part, torch.jit.ScriptModule)]
    programs = [part for part in module.modules() if isinstance(part, torch.fx.GraphModule)]
    graphs = [script.inlined_graph for script in scripts[:1] if hasattr(script, "forward")]
    found = [
        *(where for graph in graphs for where in _in_script(graph)),
        *(where for program in programs for where in _in_program(program)),
    ] or _in_code(module, images)
    what = found[0] if found else "what it draws"
    # A trace or a program keeps the mode in which it was exported.
    if programs or any(_READS_MODE not in str(graph) for graph in graphs):
        return in_training_mode(name, f"two runs of one image differ by {what}")
    return ModelError(
        f"{name} gives other outputs for the same image in each run although it is in evaluation "
        f"mode: {what} is random. Let it follow self.training, as nn.Dropout does, or remove it, "
        "and save the network again."
    )


def _in_script(graph: Any) -> Iterator[str]:
    for node in _nodes(graph):
        space, _, operator = node.kind().partition("::")
        if space == "aten" and _is_random(operator) and _is_on(operator, _values(node)):
            source = node.sourceRange().partition(_SERIALIZED)[0]
            yield _described(operator, list(_lines(source)))


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _values(node: Any) -> list[object]:
    """The constant inputs of a node; the network's own boolean fields count as True."""
    return [_is_own_switch(value) or value.toIValue() for value in node.inputs()]


def _is_own_switch(value: Any) -> bool:
    holder = value.node()
    is_field = holder.kind() == "prim::GetAttr" and str(value.type()) == "bool"
    return is_field and holder.s("name") != "training"


def _in_program(program: torch.fx.GraphModule) -> Iterator[str]:
    for node in program.graph.nodes:
        operator = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        if operator and _is_random(operator) and _is_on(operator, list(node.args)):
            stack = node.meta.get("stack_trace") or ""
            yield _described(operator, [*_lines(stack)][::-1])


def _is_on(operator: str, values: list[object]) -> bool:
    """Whether the operator is active: dropout only if its flag is set, others always."""
    return "dropout" not in operator or True in [value for value in values if value is True]


def _is_random(operator: str) -> bool:
    packet = getattr(torch.ops.aten, operator, None)
    forms = [getattr(packet, form) for form in packet.overloads()] if packet is not None else []
    return any(torch.Tag.nondeterministic_seeded in form.tags for form in forms)


def _in_code(module: nn.Module, images: Tensor) -> list[str]:
    listening = _Listening()
    with listening:
        module(images)
    return listening.found


class _Listening(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records each random operator, and the line of code that called it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            stack = "".join(traceback.format_stack())
            self.found.append(_described(func.overloadpacket.__name__, [*_lines(stack)][::-1]))
        return func(*args, **(kwargs or {}))


def _lines(stack: str) -> Iterator[tuple[Path, str]]:
    for found in _LINE.findall(stack):
        file, number = found[:2] if found[0] else found[2:]
        yield Path(file), number


def _described(operator: str, lines: list[tuple[Path, str]]) -> str:
    """An operator, with the first line (innermost first) that is the network's own code."""
    own = (
        f" at {file.name[:60]}, line {number}"
        for file, number in lines
        if _LIBRARY not in file.parts and not file.is_relative_to(_NOT_ITS_OWN)
    )
    return f"{operator.rstrip('_')}{next(own, '')}"
