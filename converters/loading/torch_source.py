"""Open any kind of torch file and give its graph and its logits. Runs in the child."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.loading.border import Request, SourceKind
from converters.loading.exported_program import open_exported_program
from converters.loading.torch_export import export
from converters.loading.weights.open_weights import open_pickle, open_safetensors
from edge.errors import ModelError

# TorchScript is a language with operators that read and write files, and a module may call
# them while it is loaded. As whole words no network of layers has them in its sources.
_FILE_OPERATORS: Final = re.compile(rb"\b(save|from_file|load_tensor|rpc|dist_rpc|c10d)\b")


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
    with torch.inference_mode():
        rows = [_logits(module(torch.from_numpy(row[None])), request) for row in samples]
    graph = export(module, request.name, samples.shape[2], samples.shape[3])
    return Opened(loaded.kind, graph, np.concatenate(rows), loaded.facts)


def _load(kind: SourceKind, path: Path, request: Request, size: tuple[int, ...]) -> _Loaded:
    if kind is SourceKind.TORCHSCRIPT:
        return _Loaded(kind, _open_torchscript(path, request), {})
    if kind is SourceKind.EXPORTED_PROGRAM:
        return _Loaded(kind, *open_exported_program(path, request, size))
    weights = open_safetensors if kind is SourceKind.SAFETENSORS else open_pickle
    opened = weights(path, request)
    return _Loaded(opened.kind, opened.module, opened.facts)


def _open_torchscript(path: Path, request: Request) -> nn.Module:
    archive = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001  # the reader torch.jit.load uses
    for entry in archive.get_all_records():
        found = entry.startswith("code/") and _FILE_OPERATORS.search(archive.get_record(entry))
        if found:
            raise ModelError(
                f"{request.name} is TorchScript that uses {found[1].decode()} ({entry[:80]}), "
                "which reaches files or the network; a network of layers is needed. Export it "
                "again without that."
            )
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
