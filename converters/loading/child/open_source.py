"""The work of the child process: opens an untrusted file and writes its graph and logits.

`child/__main__.py` has restricted this process before.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.loading.canonical.canonicalize import canonicalize
from converters.loading.canonical.working_model.graph_session import reason_of
from converters.loading.file_kind.detect import detect_kind
from converters.loading.file_kind.quantized import refuse_quantized_torch
from converters.loading.sandbox.messages import (
    SOURCE_NAME,
    Answer,
    ChildRequest,
    Refusal,
    SourceKind,
    read_request,
    write_answer,
    write_result,
)
from edge.errors import ConfigError, EdgeError, ModelError

# Names of devices in torch's errors about a missing one.
_GPU: Final = re.compile(r"\b(CUDA|cuda|mps|MPS|xpu|XPU|HIP)\b|NVIDIA")


def open_source(folder: Path) -> None:
    """Open `FOLDER/source` and write an answer, also for any exception."""
    request, samples = read_request(folder)
    try:
        answer = _open(folder, request, samples)
    except EdgeError as error:
        answer = _refusal(error)
    except Exception as error:  # noqa: BLE001  # the top of this process: every error is an answer
        # torch, protobuf, onnx and ONNX Runtime raise dozens of types for unreadable files.
        answer = _refusal(_cannot_open(request, error))
    write_answer(folder, answer)


def _open(folder: Path, request: ChildRequest, samples: NDArray[np.float32]) -> Answer:
    path = folder / SOURCE_NAME
    kind = _kind(path, request)
    refuse_quantized_torch(path, kind, request.name)
    if request.describes:
        from converters.loading.describe.describe import describe
        from converters.loading.describe.findings import to_json

        found = describe(kind, path, request)
        trusted = {"trusted_pickle": True} if found.needs_trust else {}
        return Answer(found.kind, {"findings": to_json(found.findings), **trusted}, None)
    facts: dict[str, Any] = {}
    if kind is SourceKind.ONNX:
        # Runs the graph within the child's limits; the converter later runs it without them.
        taken = canonicalize(path.read_bytes(), request.name, request.class_count, samples)
    else:
        # Imported only for torch files: it takes three seconds and 200 MB.
        from converters.loading.child.torch_source import open_torch

        kind, taken, facts = open_torch(kind, path, request, samples)
    facts = taken.facts(facts)
    write_result(folder, taken.model.SerializeToString(), taken.source_logits())
    return Answer(kind, facts, None)


def _kind(path: Path, request: ChildRequest) -> SourceKind:
    if not request.parts:
        return detect_kind(path, request.name)
    # The parts are torch or safetensors files, whose readers are needed in any case.
    from converters.loading.weights.parts import kind_of_parts

    return kind_of_parts(path.parent, request)


def _cannot_open(request: ChildRequest, error: Exception) -> ModelError:
    refusal = ModelError(
        f"{request.name} cannot be opened ({type(error).__name__}: {reason_of(error)}). "
        f"{_remedy(request, error)}"
    )
    refusal.__cause__ = error
    return refusal


def _remedy(request: ChildRequest, error: Exception) -> str:
    if _GPU.search(str(error)):
        return "It asks for a GPU: move the model to the CPU (model.cpu()) and export it again."
    if isinstance(error, PermissionError):
        return (
            "It is opened without network or other programs, and only with files on Python's "
            "search path; put the files that it needs there."
        )
    if type(error).__name__ == "SafetensorError":
        return "A complete file is needed; copy it or save it again."
    if request.trusted and isinstance(error, ImportError | AttributeError):
        return (
            "Its classes must be importable under the same names as where it was saved "
            "(PYTHONPATH=FOLDER edge-convert ...); or save the state dict there."
        )
    # Truncated files of other kinds were refused when they were read.
    return "The file is complete: run it on an image of the card's size where it was made."


def _refusal(error: EdgeError) -> Answer:
    trace = "".join(traceback.format_exception(error))[-20_000:]
    return Answer(None, {}, Refusal(str(error), isinstance(error, ConfigError), trace))
