"""Open any kind of torch file and give its graph and its logits. Runs in the child."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.loading.border import Request, SourceKind
from converters.loading.exported_program import open_exported_program
from converters.loading.pickles import names_run_by
from converters.loading.torch_graph.export import export
from converters.loading.torch_graph.run import run_module
from converters.loading.weights import Weights, fill_network, find_weights
from edge.errors import ModelError

# The function that restores a pickled numpy number; its module changed its name in numpy 2.
_SCALAR: Final = np.float64(0).__reduce__()[0]
# What training scripts put beside the weights and what runs nothing when it is loaded:
# command line arguments, folders, a best score.
_INERT: Final[list[Any]] = [
    argparse.Namespace,
    pathlib.PosixPath,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
    type(np.dtype(np.int64)),
]
# TorchScript is a language with operators that read and write files, and a module may call
# them while it is loaded. As whole words no network of layers has them in its sources.
_FILE_OPERATORS: Final = re.compile(rb"\b(save|from_file|load_tensor|rpc|dist_rpc|c10d)\b")


@dataclass(frozen=True, slots=True)
class Opened:
    """A torch file's core graph as ONNX bytes, and what torch computes.

    Attributes:
        batch: of the example that the graph was exported with.
        outputs: (n, classes) for the samples.
    """

    kind: SourceKind
    graph: bytes
    batch: int
    outputs: NDArray[np.float32]
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
    loaded = _load(kind, path, request)
    if kind is not SourceKind.EXPORTED_PROGRAM:
        # An exported program has its mode in its operators, and refuses to change it.
        loaded.module.eval()
    with torch.no_grad():
        ran = run_module(loaded.module, request.name, request.class_count, samples)
    height, width = samples.shape[2:]
    graph = export(ran.module, request.name, height, width, ran.batch, any_size=request.any_size)
    facts = loaded.facts | ({"changes": ran.changes} if ran.changes else {})
    return Opened(loaded.kind, graph, ran.batch, ran.outputs, facts)


def _load(kind: SourceKind, path: Path, request: Request) -> _Loaded:
    if kind is SourceKind.TORCHSCRIPT:
        return _Loaded(kind, _open_torchscript(path, request), {})
    if kind is SourceKind.EXPORTED_PROGRAM:
        return _Loaded(kind, *open_exported_program(path, request))
    if kind is SourceKind.SAFETENSORS:
        from safetensors.torch import load_file

        return _from_weights(find_weights(load_file(path), request.name), request, kind)
    loaded, facts = _unpickle(path, request)
    weights = find_weights(loaded, request.name)
    found = SourceKind.CHECKPOINT if weights.is_checkpoint else kind
    return _from_weights(replace(weights, facts=weights.facts | facts), request, found)


def _from_weights(weights: Weights, request: Request, kind: SourceKind) -> _Loaded:
    if isinstance(weights.content, nn.Module):
        return _Loaded(SourceKind.PICKLED_MODULE, weights.content, weights.facts)
    network, prefix = fill_network(weights.content, request)
    facts = dict(weights.facts)
    if prefix:
        facts["prefix"] = prefix
        left_out = [name for name in weights.content if not name.startswith(prefix)]
        facts["left_out"] = left_out[:20]
    return _Loaded(kind, network, facts)


def _unpickle(path: Path, request: Request) -> tuple[object, dict[str, Any]]:
    try:
        with torch.serialization.safe_globals(_INERT):
            return torch.load(path, map_location="cpu", weights_only=True), {}
    except pickle.UnpicklingError as error:
        names = names_run_by(path)
        if not names:
            raise ModelError(
                f"{request.name} is a truncated or damaged torch file. Copy it again."
            ) from error
        if not request.trusted:
            raise ModelError(
                f"{request.name} is a pickled Python object and would run its own code when "
                f"loaded (it names {', '.join(names)}); a file of tensors alone is needed. Save it "
                "with torch.save(model.state_dict(), FILE), or if you know who made it give "
                f"--trust-pickle sha256:{request.sha256}"
            ) from error
    loaded: Mapping[str, object] = torch.load(path, map_location="cpu", weights_only=False)
    return loaded, {"trusted_pickle": True, "names_run": names}


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
