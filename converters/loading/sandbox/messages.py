"""Messages between the converter and the child process: files in one folder.

They are JSON, `.npy` and ONNX. The child has read an untrusted file, so its answers are never
unpickled, and their size is limited.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.architectures.name import Architecture
from converters.loading.sandbox.limits import GIB, REQUEST_NAME, Limits
from edge.errors import ModelError
from edge.files import atomic
from edge.files.safe_open import NotRegularError, TooLargeError, read_bounded
from edge.files.strict_json import parse_json

SOURCE_NAME: Final = "source"
GRAPH_NAME: Final = "graph.onnx"
_SAMPLES_NAME: Final = "samples.npy"
_LOGITS_NAME: Final = "logits.npy"
_ANSWER_NAME: Final = "answer.json"
# Only these facts are accepted; they go into the manifest.
_FACTS: Final = (
    *("key", "ema", "prefix", "left_out", "not_taken", "stored_as", "not_run"),
    *("architecture", "trusted_pickle", "names_run", "findings", "changes", "removed_head"),
)

# The limit of protobuf, and so of ONNX in one file.
MAX_GRAPH_BYTES: Final = 2 * GIB
_MAX_LOGITS_BYTES: Final = 16 * 1024**2
_MAX_ANSWER_BYTES: Final = 1024**2


class SourceKind(StrEnum):
    """The kind of a model file."""

    STATE_DICT = "state_dict"
    CHECKPOINT = "checkpoint"
    TORCHSCRIPT = "torchscript"
    EXPORTED_PROGRAM = "exported_program"
    PICKLED_MODULE = "pickled_module"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """What the child is asked. `name` is the file's own name, for messages.

    `describes`: only find values for a card, without opening the network.
    `any_size`: export a graph with dynamic height and width.
    `parts`: the file names of a model in several files.
    """

    name: str
    sha256: str
    architecture: Architecture | None
    class_count: int
    trusted: bool
    limits: Limits
    describes: bool = False
    any_size: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the child could not open the file. `is_config`: the card is wrong, not the file."""

    message: str
    is_config: bool
    trace: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The child's answer, besides graph and logits; the parent adds `sandbox`."""

    kind: SourceKind | None
    facts: dict[str, Any]
    refusal: Refusal | None
    sandbox: str = ""


def source_copies(folder: Path, count: int) -> tuple[Path, ...]:
    """Paths for the copies of the files that the child opens."""
    return tuple(folder / (f"{SOURCE_NAME}{n}" if n else SOURCE_NAME) for n in range(count))


def write_request(folder: Path, request: ChildRequest, samples: NDArray[np.float32]) -> None:
    """Write the request and normalised images (n, 3, h, w) for the child."""
    atomic.write_file(folder / REQUEST_NAME, json.dumps(asdict(request)).encode())
    atomic.write_file(folder / _SAMPLES_NAME, _array_bytes(samples))


def read_request(folder: Path) -> tuple[ChildRequest, NDArray[np.float32]]:
    """Read the files of `write_request`, in the child."""
    values = json.loads((folder / REQUEST_NAME).read_bytes())
    named = values["architecture"]
    request = ChildRequest(
        **{
            **values,
            "architecture": named and Architecture(**named),
            "limits": Limits(**values["limits"]),
            "parts": tuple(values["parts"]),
        }
    )
    return request, np.load(folder / _SAMPLES_NAME, allow_pickle=False)


def write_result(folder: Path, graph: bytes, logits: NDArray[np.float32]) -> None:
    """Write the graph and the logits (n, classes) of the samples, in the child."""
    atomic.write_file(folder / GRAPH_NAME, graph)
    atomic.write_file(folder / _LOGITS_NAME, _array_bytes(logits))


def write_answer(folder: Path, answer: Answer) -> None:
    """Write the answer, in the child; the file is complete or missing."""
    atomic.write_file(folder / _ANSWER_NAME, json.dumps(asdict(answer)).encode())


def read_answer(folder: Path) -> Answer | None:
    """Read the child's answer; None if it ended without one.

    Raises:
        ModelError: it is damaged.
    """
    if not (folder / _ANSWER_NAME).exists():
        return None
    try:
        values = parse_json(_read(folder / _ANSWER_NAME, _MAX_ANSWER_BYTES))
        refusal = values["refusal"] and Refusal(**values["refusal"])
        kind = values["kind"] and SourceKind(values["kind"])
        facts = {key: values["facts"][key] for key in _FACTS if key in values["facts"]}
        return Answer(kind, facts, refusal)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError("the process that opened the model returned a damaged answer.") from error


def read_result(folder: Path) -> tuple[bytes, NDArray[np.float32]]:
    """Read the child's graph, which must still be checked, and its logits (n, classes).

    Raises:
        ModelError: too large, not a regular file, or not an array.
    """
    graph = _read(folder / GRAPH_NAME, MAX_GRAPH_BYTES)
    content = _read(folder / _LOGITS_NAME, _MAX_LOGITS_BYTES)
    try:
        logits = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ModelError("the process that opened the model returned damaged logits.") from error
    return graph, np.asarray(logits, np.float32)


def _array_bytes(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        return read_bounded(path, limit_bytes)
    except (NotRegularError, TooLargeError) as error:
        raise ModelError(
            f"the process that opened the model wrote an unusable {path.name} ({error.strerror}). "
            "Convert a smaller model."
        ) from error
    except OSError as error:
        raise ModelError(
            f"the process that opened the model wrote no {path.name} ({error.strerror})."
        ) from error
