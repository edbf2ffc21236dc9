"""Opens any kind of torch file and exports its graph. Runs in the child process."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.loading.canonical.batch.dynamic import FixedBatchError
from converters.loading.canonical.canonicalize import canonicalize
from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.loading.checks.devices import on_cpu
from converters.loading.checks.kernels import checked_kernels
from converters.loading.checks.torchscript import check_torchscript
from converters.loading.child.exported_program import open_exported_program
from converters.loading.sandbox.messages import ChildRequest, SourceKind
from converters.loading.torch_graph.export import export
from converters.loading.torch_graph.run import RunResult, run_module
from converters.loading.weights.open_weights import open_parts, open_pickle, open_safetensors
from edge.errors import ModelError


@dataclass(frozen=True, slots=True)
class _Loaded:
    kind: SourceKind
    module: nn.Module
    facts: dict[str, Any]
    batch: int = 0


def open_torch(
    kind: SourceKind, path: Path, request: ChildRequest, samples: NDArray[np.float32]
) -> tuple[SourceKind, WorkingModel, dict[str, Any]]:
    """Load the file, run it on normalised images (n, 3, h, w), and export its graph.

    Returns:
        The kind of the file, its canonical graph, and facts about the file.

    Raises:
        ModelError: damaged, not a classifier of such images, or it would run code.
        ConfigError: the card's architecture is missing or not installed.
    """
    height, width = samples.shape[2:]
    loaded = _load(kind, path, request, (height, width))
    if kind is not SourceKind.EXPORTED_PROGRAM:
        # An exported program has its mode in its operators; eval() would raise.
        loaded.module.eval()
    # no_grad, not inference mode: there checked_kernels would see layers instead of kernels.
    with torch.no_grad(), checked_kernels():
        ran = run_module(loaded.module, request.name, request.class_count, samples, loaded.batch)
    changes = [*loaded.facts.get("changes", []), *ran.changes]
    facts = loaded.facts | ({"changes": changes} if changes else {})
    return loaded.kind, to_canonical(ran, request, samples), facts


def to_canonical(
    ran: RunResult, request: ChildRequest, samples: NDArray[np.float32]
) -> WorkingModel:
    """The graph of a module that ran on the samples, for any batch.

    Raises:
        ModelError: it cannot be exported, or brought to the form of a bundle's graph.
    """
    try:
        return _exported(ran, request, samples, ran.given.batch)
    except FixedBatchError as fixed:
        # A loop over the images of a batch is exported for the example's number of images.
        if ran.given.batch == 1:
            raise
        try:
            return _exported(ran, request, samples, 1)
        except ModelError:
            raise fixed from None


def _exported(
    ran: RunResult, request: ChildRequest, samples: NDArray[np.float32], batch: int
) -> WorkingModel:
    # Exporting runs the module again, so scripts need the guard. It would disturb the tracing of
    # other modules, which do not need it.
    is_script = any(isinstance(m, torch.jit.ScriptModule) for m in ran.module.modules())
    height, width = samples.shape[2:]
    with torch.no_grad(), checked_kernels() if is_script else nullcontext():
        graph = export(ran.module, request.name, height, width, batch, any_size=request.any_size)
    given = replace(ran.given, batch=batch)
    return canonicalize(graph, request.name, request.class_count, samples, given)


def _load(kind: SourceKind, path: Path, request: ChildRequest, size: tuple[int, int]) -> _Loaded:
    if kind in (SourceKind.TORCHSCRIPT, SourceKind.EXPORTED_PROGRAM):
        # Makes `empty` and similar operators return NaN, not old memory.
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        path = on_cpu(path, kind)
    if kind is SourceKind.TORCHSCRIPT:
        return _Loaded(kind, _open_torchscript(path, request), {})
    if kind is SourceKind.EXPORTED_PROGRAM:
        program = open_exported_program(path, request, size)
        return _Loaded(kind, program.module, program.facts, program.batch)
    if request.parts:
        opened = open_parts(kind, path.parent, request)
    elif kind is SourceKind.SAFETENSORS:
        opened = open_safetensors(path, request)
    else:
        opened = open_pickle(path, request)
    return _Loaded(opened.kind, opened.module, opened.facts)


def _open_torchscript(path: Path, request: ChildRequest) -> nn.Module:
    check_torchscript(path, request.name)
    with warnings.catch_warnings():
        # torch warns that TorchScript is deprecated, which does not help with an existing file.
        warnings.simplefilter("ignore", DeprecationWarning)
        module: nn.Module = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
    return module
