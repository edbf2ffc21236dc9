"""Open `.pt2`, what torch.export.save writes. Runs in the child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from converters.loading.border import Request
from converters.loading.checks.exported import what_it_runs
from edge.errors import ModelError


def open_exported_program(path: Path, request: Request) -> tuple[nn.Module, dict[str, Any]]:
    """The program as a module, and facts.

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
    # The check of the input's shape is one of a fixed batch, and cannot be traced.
    module._forward_pre_hooks.clear()  # noqa: SLF001  # torch has no public name for it
    module.graph.eliminate_dead_code()
    module.recompile()
    return module, {} if reason is None else {"trusted_pickle": True, "names_run": [reason]}
