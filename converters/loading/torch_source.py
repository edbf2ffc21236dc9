"""Open any kind of torch file and give its graph and its logits. Runs in the child."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.loading.border import Request, SourceKind
from converters.loading.checks.devices import on_cpu
from converters.loading.checks.kernels import checked_kernels
from converters.loading.checks.torchscript import check_torchscript
from converters.loading.exported_program import open_exported_program
from converters.loading.torch_export import export
from converters.loading.weights.open_weights import open_pickle, open_safetensors
from edge.errors import ModelError


@dataclass(frozen=True, slots=True)
class Opened:
    """A torch file's core graph as ONNX bytes, and the logits that torch computes."""

    kind: SourceKind
    graph: bytes
    logits: NDArray[np.float32]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Loaded:
    kind: SourceKind
    module: nn.Module
    facts: dict[str, Any]


def open_torch(
    kind: SourceKind, path: Path, request: Request, samples: NDArray[np.float32]
) -> Opened:
    """Load the file, run it on normalised images (n, 3, h, w), export it.

    Raises:
        ModelError: damaged, not a classifier of such images, or it would run code.
        ConfigError: the card's architecture is missing or not there.
    """
    loaded = _load(kind, path, request, samples.shape[2:])
    module = loaded.module.float().eval()
    # Not in inference mode, where the guard would see whole layers and not their kernels.
    with torch.no_grad(), checked_kernels():
        rows = [_logits(module(torch.from_numpy(row[None])), request) for row in samples]
    # Code by others is run once more; a network of our own is traced, which the guard disturbs.
    is_script = isinstance(module, torch.jit.ScriptModule)
    with torch.no_grad(), checked_kernels() if is_script else nullcontext():
        graph = export(module, request.name, samples.shape[2], samples.shape[3])
    return Opened(loaded.kind, graph, np.concatenate(rows), loaded.facts)


def _load(kind: SourceKind, path: Path, request: Request, size: tuple[int, ...]) -> _Loaded:
    if kind in (SourceKind.TORCHSCRIPT, SourceKind.EXPORTED_PROGRAM):
        # Operators that give memory as they find it give NaN.
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        path = on_cpu(path, kind)
    if kind is SourceKind.TORCHSCRIPT:
        return _Loaded(kind, _open_torchscript(path, request), {})
    if kind is SourceKind.EXPORTED_PROGRAM:
        return _Loaded(kind, *open_exported_program(path, request, size))
    weights = open_safetensors if kind is SourceKind.SAFETENSORS else open_pickle
    opened = weights(path, request)
    return _Loaded(opened.kind, opened.module, opened.facts)


def _open_torchscript(path: Path, request: Request) -> nn.Module:
    check_torchscript(path, request.name)
    with warnings.catch_warnings():
        # Laboratories hold TorchScript files; that torch advises against new ones is no help.
        warnings.simplefilter("ignore", DeprecationWarning)
        module: nn.Module = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
    return module


def _logits(output: object, request: Request) -> NDArray[np.float32]:
    if not isinstance(output, torch.Tensor):
        raise ModelError(
            f"{request.name} gives {type(output).__name__} for an image; a classifier that gives "
            "one tensor of logits is needed. Export the classifier alone."
        )
    return np.asarray(output.numpy(), np.float32)
