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
from converters.loading.graph import at_opset, check_ends, parse_graph, run_graph
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
        # torch, protobuf, onnx and ONNX Runtime raise dozens of types for damaged files.
        answer = _refusal(_damaged(request, error))
    write_answer(folder, answer)


def _open(folder: Path, request: Request, samples: NDArray[np.float32]) -> Answer:
    path = folder / SOURCE_NAME
    kind = detect_kind(path, request.name)
    refuse_quantized_torch(path, kind, request.name)
    facts: dict[str, Any] = {}
    if kind is SourceKind.ONNX:
        content, logits = path.read_bytes(), None
    else:
        # Three seconds and 200 MB that an ONNX file does not need.
        from converters.loading.torch_source import open_torch

        opened = open_torch(kind, path, request, samples)
        kind, content, logits, facts = opened.kind, opened.graph, opened.logits, opened.facts
    graph = at_opset(parse_graph(content, request.name), request.name)
    check_ends(graph, request.name, samples.shape[2], samples.shape[3])
    content = graph.SerializeToString()
    # The converter will run this graph without limits, so it is run once within them here.
    found = run_graph(content, samples)
    write_result(folder, content, found if logits is None else logits)
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


def _damaged(request: Request, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines() or [""]
    # TorchScript puts the cause below its own traceback, everything else into the first line.
    line = lines[-1] if "TorchScript interpreter" in str(error) else lines[0]
    damaged = ModelError(
        f"{request.name} cannot be opened, or not run on an image ({type(error).__name__}: "
        f"{line[:300]}). A whole file of a model that runs is needed; copy it or save it again."
    )
    damaged.__cause__ = error
    return damaged


def _refusal(error: EdgeError) -> Answer:
    trace = "".join(traceback.format_exception(error))[-20_000:]
    return Answer(None, {}, Refusal(str(error), isinstance(error, ConfigError), trace))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
