"""Open a trained model, told apart by its content and not by its suffix, without running it.

A pickle runs whatever its author put into it, so nothing here ever unpickles more than tensors.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from converters.architectures import build_network
from converters.card import ModelCard
from edge.errors import ModelError


class SourceKind(StrEnum):
    """What a model file is."""

    STATE_DICT = "state_dict"
    TORCHSCRIPT = "torchscript"
    ONNX = "onnx"


# Normalised float32 images (batch, 3, h, w) to logits (batch, classes).
ReferenceFunction = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model as it was handed over; `reference` runs it as its own framework does."""

    path: Path
    kind: SourceKind
    sha256: str
    network: torch.nn.Module | onnx.ModelProto
    reference: ReferenceFunction


def open_model(path: Path, card: ModelCard) -> SourceModel:
    """Open a state dict, a TorchScript module or an ONNX model.

    Raises:
        ModelError: none of these, damaged, or it would run code when opened.
        ConfigError: the card does not fit the file.
    """
    content = _read(path)
    kind = detect_kind(content, path)
    digest = hashlib.sha256(content).hexdigest()
    if kind is SourceKind.ONNX:
        graph, session = _open_onnx(content, path)
        return SourceModel(path, kind, digest, graph, _onnx_reference(session))
    if kind is SourceKind.TORCHSCRIPT:
        module = _open_torchscript(path)
    else:
        module = _open_state_dict(path, card)
    return SourceModel(path, kind, digest, module.eval(), _torch_reference(module))


def detect_kind(content: bytes, path: Path) -> SourceKind:
    """What kind of model the bytes are.

    Raises:
        ModelError: no kind that can be opened safely.
    """
    if content.startswith(b"PK\x03\x04"):
        names = _zip_names(path)
        if any(name.endswith("/constants.pkl") for name in names):
            return SourceKind.TORCHSCRIPT
        if any(name.endswith("/data.pkl") for name in names):
            return SourceKind.STATE_DICT
        raise ModelError(
            f"{path.name} is a ZIP file without torch data. Save a state dict, TorchScript or ONNX."
        )
    # Protocol 2 pickles, torch's format before 1.6, start with PROTO and the magic number.
    if content.startswith(b"\x80\x02"):
        return SourceKind.STATE_DICT
    if _looks_like_onnx(content):
        return SourceKind.ONNX
    raise ModelError(
        f"{path.name} is neither a torch file nor ONNX (it starts with {content[:8].hex()}). "
        "Give a state dict, TorchScript or ONNX file."
    )


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    if not content:
        raise ModelError(f"{path.name} is empty. Copy it again.")
    return content


def _zip_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile as error:
        raise ModelError(
            f"{path.name} is a truncated or damaged torch file ({error}). Copy it again."
        ) from error


def _looks_like_onnx(content: bytes) -> bool:
    # Every exporter writes field 1 of ModelProto (ir_version, a varint) first.
    return content.startswith(b"\x08")


def _open_state_dict(path: Path, card: ModelCard) -> torch.nn.Module:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} is a pickled Python object and would run its own code when loaded "
            f"({_unsafe_globals(path)}). Save it with torch.save(model.state_dict(), FILE)."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise ModelError(
            f"{path.name} is a truncated or damaged torch file ({_first_line(error)}). "
            "Copy it again."
        ) from error
    if not isinstance(loaded, dict) or not all(torch.is_tensor(v) for v in loaded.values()):
        raise ModelError(
            f"{path.name} holds {type(loaded).__name__}, not a state dict of tensors. "
            "Save it with torch.save(model.state_dict(), FILE)."
        )
    network = build_network(card.architecture, len(card.classes))
    _fill(network, loaded, path, card)
    return network


def _fill(network: torch.nn.Module, state: dict[str, Any], path: Path, card: ModelCard) -> None:
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        problems = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{path.name} does not fit architecture {card.architecture} with "
            f"{len(card.classes)} classes: {problems}"
        ) from error


def _unsafe_globals(path: Path) -> str:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, pickle.UnpicklingError):
        return "what it would run is not listed"
    return "it names " + ", ".join(names[:5]) if names else "what it would run is not listed"


def _open_torchscript(path: Path) -> torch.nn.Module:
    try:
        with warnings.catch_warnings():
            # Laboratories hold TorchScript files; that torch advises against new ones is no help.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: torch.nn.Module = torch.jit.load(path, "cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"{path.name} is a damaged TorchScript file ({_first_line(error)}). Copy it again."
        ) from error
    return module


def _torch_reference(module: torch.nn.Module) -> ReferenceFunction:
    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits = module(torch.from_numpy(images))
        return np.asarray(logits.numpy(), np.float32)

    return run


def _open_onnx(content: bytes, path: Path) -> tuple[onnx.ModelProto, ort.InferenceSession]:
    try:
        graph = onnx.load_model_from_string(content)
        _refuse_external_data(graph, path)
        onnx.checker.check_model(graph)
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    except ModelError:
        raise
    except Exception as error:
        # protobuf, onnx and ONNX Runtime raise a dozen unrelated types for a damaged file.
        raise ModelError(
            f"{path.name} is not a usable ONNX model ({_first_line(error)}). Export it again."
        ) from error
    return graph, session


def _refuse_external_data(graph: onnx.ModelProto, path: Path) -> None:
    for tensor in graph.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(
                f"{path.name} keeps {tensor.name} in another file. "
                "Save it as one file: onnx.save(model, FILE, save_as_external_data=False)."
            )


def _onnx_reference(session: ort.InferenceSession) -> ReferenceFunction:
    name = session.get_inputs()[0].name

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = [session.run(None, {name: images[i : i + 1]})[0] for i in range(len(images))]
        return np.asarray(np.concatenate(rows), np.float32)

    return run


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
