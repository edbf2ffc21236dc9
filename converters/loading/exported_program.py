"""Open `.pt2`, what torch.export.save writes. Runs in the child."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from converters.loading.border import Request
from converters.loading.checks.exported import what_it_runs
from converters.loading.checks.kernels import checked_kernels
from edge.errors import ModelError

_RESHAPES: Final = (torch.ops.aten.view.default, torch.ops.aten.reshape.default)


def open_exported_program(
    path: Path, request: Request, size: tuple[int, ...]
) -> tuple[nn.Module, dict[str, Any]]:
    """The program as a traced module for images of (height, width), and facts.

    Raises:
        ModelError: it would run code when loaded and is not trusted.
    """
    reason = what_it_runs(path)
    if reason is not None and not request.trusted:
        raise ModelError(
            f"{request.name} is a .pt2 file that may do more than a network does ({reason}); one "
            "of tensors and the operators of classifiers is needed. Export it without that, save "
            "the state dict instead, or if you know who made it give "
            f"--trust-pickle sha256:{request.sha256}"
        )
    with path.open("rb") as file:
        program = torch.export.load(file)
    module = program.module(check_guards=False)
    _free_batch(module)
    batch = program.example_inputs[0][0].shape[0] if program.example_inputs else 1
    example = torch.zeros(batch, 3, *size)
    # A trace records each call twice under the guard, so the program runs once before.
    with torch.no_grad(), checked_kernels():
        module(example)
    # The exporter calls train() and eval(), which an exported program refuses and its trace takes.
    traced: nn.Module = torch.jit.trace(  # type: ignore[no-untyped-call]
        module, example, check_trace=False
    )
    return traced, {} if reason is None else {"trusted_pickle": True, "names_run": [reason]}


def _free_batch(module: torch.fx.GraphModule) -> None:
    """Let reshapes infer the batch, which a trace would fix at that of the example."""
    # The check of the input's shape is one of a fixed batch, and cannot be traced.
    module._forward_pre_hooks.clear()  # noqa: SLF001  # torch has no public name for it
    for node in module.graph.nodes:
        shape = node.meta["val"].shape if node.target in _RESHAPES else ()
        if len(shape) > 1 and all(isinstance(size, int) for size in shape[1:]):
            node.args = (node.args[0], [-1, *shape[1:]])
    module.graph.eliminate_dead_code()
    module.recompile()
