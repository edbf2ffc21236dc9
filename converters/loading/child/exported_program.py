"""Opens `.pt2` files, which torch.export.save writes. Runs in the child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.export.graph_signature import ConstantArgument, InputKind, TensorArgument

from converters.loading.canonical.inputs import BYTES_TAKEN
from converters.loading.canonical.working_model.refusals import has_other_inputs
from converters.loading.checks.exported import find_disallowed
from converters.loading.sandbox.messages import ChildRequest
from converters.loading.torch_graph.images_only import ImagesOnly, takes_no_tensor
from edge.errors import ModelError

# Asserts the type of the example image, which the cast to float would violate.
_TYPE_CHECK: Final = torch.ops.aten._assert_tensor_metadata.default  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class Program:
    """A program as a module with the images as its only input.

    Attributes:
        batch: the batch size that it was exported for; 0 for any.
    """

    module: nn.Module
    batch: int
    facts: dict[str, Any]


def open_exported_program(path: Path, request: ChildRequest, size: tuple[int, int]) -> Program:
    """Load the program as a module with the images as its only input.

    Args:
        size: the card's height and width in px.

    Raises:
        ModelError: it would run code when loaded and is not trusted, or needs other inputs, or was
            exported for images of another size.
    """
    reason = find_disallowed(path)
    if reason is not None and not request.trusted:
        raise ModelError(
            f"{request.name} is a .pt2 file that may do more than a network does ({reason}); one "
            "of tensors and the operators of classifiers is needed. Export it without that, save "
            "the state dict instead, or if you know who made it give "
            f"--trust-pickle sha256:{request.sha256}"
        )
    with path.open("rb") as file:
        program = torch.export.load(file)
    others = _other_inputs(program, request.name)
    image = _example_of_image(program)
    _require_size(image, request.name, size)
    module: nn.Module = _as_module(program)
    facts = {} if reason is None else {"trusted_pickle": True, "names_run": [reason]}
    if image.dtype is torch.uint8:
        facts["changes"] = [BYTES_TAKEN]
    batch = image.shape[0] if image.dim() else 0
    return Program(
        ImagesOnly(module, others) if others else module,
        batch if isinstance(batch, int) else 0,
        facts,
    )


def _require_size(image: torch.Tensor, name: str, size: tuple[int, int]) -> None:
    """Refuse a program for images of another size than the card's."""
    if image.dim() != 4:
        return
    is_last = image.shape[1] != 3 and image.shape[3] == 3
    sides = image.shape[1:3] if is_last else image.shape[2:]
    # Dynamic sizes are symbols.
    if any(isinstance(side, int) and side != n for side, n in zip(sides, size, strict=True)):
        found = [side if isinstance(side, int) else "?" for side in image.shape]
        raise ModelError(
            f"{name} was exported for images {found}, the card says [batch, 3, {size[0]}, "
            f"{size[1]}]. Correct input.height and input.width in the card, or export it for the "
            "card's size."
        )


def _as_module(program: torch.export.ExportedProgram) -> torch.fx.GraphModule:
    module: torch.fx.GraphModule = program.module(check_guards=False)
    # The check of the input's shape is for a fixed batch, and cannot be traced.
    module._forward_pre_hooks.clear()  # noqa: SLF001  # torch has no public name for it
    for node in list(module.graph.nodes):
        if node.target is _TYPE_CHECK:
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _other_inputs(program: torch.export.ExportedProgram, name: str) -> list[Any]:
    """The example values of all inputs except the first, which must be the images."""
    specs = program.graph_signature.input_specs
    found = [spec.arg for spec in specs if spec.kind is InputKind.USER_INPUT]
    tensors = [argument for argument in found if isinstance(argument, TensorArgument)]
    if len(tensors) != 1 or found[0] is not tensors[0]:
        raise has_other_inputs(name, [argument.name for argument in tensors])
    positional, by_keyword = program.call_spec.in_spec.children()
    forms = [*positional.children(), *by_keyword.children()]
    if not forms[0].is_leaf():
        kind = forms[0].type.__name__
        raise takes_no_tensor(name, tensors[0].name, f"a {kind}")
    return [argument.value for argument in found[1:] if isinstance(argument, ConstantArgument)]


def _example_of_image(program: torch.export.ExportedProgram) -> torch.Tensor:
    """The metadata of the example image; dynamic sizes are symbols."""
    specs = program.graph_signature.input_specs
    name = next(s.arg.name for s in specs if s.kind is InputKind.USER_INPUT)
    image: torch.Tensor = next(n for n in program.graph.nodes if n.name == name).meta["val"]
    return image
