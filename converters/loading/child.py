"""The child process: open a stranger's file, hand back its graph and its logits, end.

Started by `run_child` as `python -m converters.loading.child FOLDER`.
"""

from __future__ import annotations

import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.loading.border import (
    SOURCE_NAME,
    Answer,
    Limits,
    Refusal,
    Request,
    SourceKind,
    read_request,
    write_answer,
    write_result,
)
from converters.loading.intake.chain import take_in
from converters.loading.intake.running import reason_of
from converters.loading.kinds import detect_kind
from converters.loading.quantized import refuse_quantized_torch
from edge.errors import ConfigError, EdgeError, ModelError


def main(folder: Path) -> None:
    """Open `FOLDER/source` and leave an answer, whatever happens short of a crash."""
    request, samples = read_request(folder)
    _limit(request.limits)
    try:
        answer = _open(folder, request, samples)
    except EdgeError as error:
        answer = _refusal(error)
    except Exception as error:  # noqa: BLE001  # this process's main(): every error is an answer
        # torch, protobuf, onnx and ONNX Runtime raise dozens of types for files they cannot read.
        answer = _refusal(_cannot_open(request, error))
    write_answer(folder, answer)


def _open(folder: Path, request: Request, samples: NDArray[np.float32]) -> Answer:
    path = folder / SOURCE_NAME
    kind = detect_kind(path, request.name)
    refuse_quantized_torch(path, kind, request.name)
    facts: dict[str, Any] = {}
    if kind is SourceKind.ONNX:
        content, outputs, batch = path.read_bytes(), None, 0
    else:
        # Three seconds and 200 MB that an ONNX file does not need.
        from converters.loading.torch_source import open_torch

        opened = open_torch(kind, path, request, samples)
        kind, facts = opened.kind, opened.facts
        content, outputs, batch = opened.graph, opened.outputs, opened.batch
    # The converter will run this graph without limits, so it is run within them here.
    taken = take_in(content, request.name, request.class_count, samples, outputs, batch)
    facts = taken.facts(facts)
    write_result(folder, taken.model.SerializeToString(), taken.given())
    return Answer(kind, facts, None)


def _limit(limits: Limits) -> None:
    # If memory runs out all the same, this process is the one to be killed.
    Path("/proc/self/oom_score_adj").write_text("1000")
    for what, limit in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        # Ends the child also where the converter was killed and no longer waits for it.
        (resource.RLIMIT_CPU, int(limits.timeout_s * 4) + 1),
    ):
        _, hard = resource.getrlimit(what)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (allowed, allowed))


def _cannot_open(request: Request, error: Exception) -> ModelError:
    """What a library said when it opened the file; whether it is whole, `detect_kind` has told."""
    refusal = ModelError(
        f"{request.name} cannot be opened ({type(error).__name__}: {reason_of(error)}). Save the "
        "model again with the libraries that this converter has, or as a state dict or ONNX file."
    )
    refusal.__cause__ = error
    return refusal


def _refusal(error: EdgeError) -> Answer:
    trace = "".join(traceback.format_exception(error))[-20_000:]
    return Answer(None, {}, Refusal(str(error), isinstance(error, ConfigError), trace))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
