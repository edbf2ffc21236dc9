"""Opens an untrusted model file in a child process; its kind is found from its content.

A model file can run code when it is opened. So a child process opens it, and this process receives
only the graph, some logits and a few facts, and checks the graph again.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.inputs.card import ModelCard
from converters.loading import run_child as child_process
from converters.loading.describe.findings import Findings, from_json
from converters.loading.graph_file.graph import check_ends, parse_graph
from converters.loading.graph_file.graph_sizes import require_fixed_sizes
from converters.loading.private_copy import Staged, stage_all
from converters.loading.samples import normalise
from converters.loading.sandbox.limits import NO_GUARDS
from converters.loading.sandbox.messages import (
    ChildRequest,
    SourceKind,
    read_result,
    source_copies,
    write_request,
)
from converters.model_files.shards import parts_of
from edge.errors import ConfigError, ModelError

__all__ = ["Described", "SourceKind", "SourceModel", "describe_model", "open_model"]


@dataclass(frozen=True, slots=True)
class SourceModel:
    """An opened source model.

    Attributes:
        sha256: of the file; for a model in several files, of the list of their hashes.
        graph: takes normalised float images (batch, 3, h, w).
        sample_logits: (n, classes), computed for the sample images by the source's framework.
        facts: choices made when reading the file: the checkpoint's key, a prefix removed from
            names, whether a pickle was trusted.
        sandbox: the guards that were active while it was opened, from `confine`.
        parts: names and hashes of the files of a model in several files.
    """

    path: Path
    kind: SourceKind
    sha256: str
    graph: onnx.ModelProto
    sample_logits: NDArray[np.float32]
    facts: dict[str, Any]
    sandbox: str = NO_GUARDS
    parts: tuple[tuple[str, str], ...] = ()

    def warnings(self) -> list[str]:
        """Warnings about choices that the user may not expect."""
        found = []
        if "not_taken" in self.facts:
            found.append(f"the moving average was not used: {self.facts['not_taken']}.")
        if "stored_as" in self.facts:
            found.append(f"weights in {', '.join(self.facts['stored_as'])} were converted to FP32.")
        if "architecture" in self.facts:
            found.append(f"the architecture is the file's: {self.facts['architecture']}.")
        if self.facts.get("removed_head") == "sigmoid":
            found.append(
                "the model ended in a sigmoid, which rates each class by itself. Labels stay the "
                "same, but their confidence is now the softmax of the logits over all classes, "
                "which is another number: choose unidentified_below again."
            )
        return found


def reopen_for_any_size(
    source: SourceModel, card: ModelCard, samples: NDArray[np.uint8], trust_pickle: str | None
) -> onnx.ModelProto:
    """The source's graph for images of any height and width, if the network allows it.

    An ONNX file has one graph, which is returned; torch files are opened and exported again.

    Raises:
        EdgeError: as `open_model`.
    """
    if source.kind is SourceKind.ONNX:
        return source.graph
    again = open_model(source.path, card, samples, trust_pickle=trust_pickle, any_size=True)
    return again.graph


def open_model(
    path: Path,
    card: ModelCard,
    samples: NDArray[np.uint8],
    *,
    trust_pickle: str | None = None,
    any_size: bool = False,
) -> SourceModel:
    """Open any kind of model file in a child process.

    Args:
        samples: preprocessed images (n, h, w, 3) on which the source is run.
        trust_pickle: `sha256:HEX` of a file whose pickled code may run, in the child.
        any_size: export a graph with dynamic height and width, to try other sizes.

    Raises:
        ModelError: unknown kind, damaged, or it would run code when opened.
        ConfigError: the card does not fit the file, or `trust_pickle` is not a hash.
    """
    trusted_digest = _digest(trust_pickle)
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as scratch:
        folder = Path(scratch)
        staged = _stage(path, folder)
        _require_same_digest(path.name, staged.sha256, trusted_digest)
        request = ChildRequest(
            name=path.name,
            sha256=staged.sha256,
            parts=tuple(name for name, _ in staged.parts),
            architecture=card.architecture,
            class_count=len(card.classes),
            trusted=trusted_digest is not None,
            limits=child_process.LIMITS,
            any_size=any_size,
        )
        write_request(folder, request, normalise(samples, card.input))
        answer = child_process.run_child(folder, request)
        content, logits = read_result(folder)
    graph = parse_graph(content, path.name)
    check_ends(graph, path.name, card.input.height, card.input.width)
    require_fixed_sizes(graph, path.name)
    if answer.kind is None:
        raise ModelError("the process that opened the model returned a damaged answer.")
    return SourceModel(
        path=path,
        kind=answer.kind,
        sha256=staged.sha256,
        graph=graph,
        sample_logits=logits,
        facts=answer.facts,
        sandbox=answer.sandbox,
        parts=staged.parts,
    )


@dataclass(frozen=True, slots=True)
class Described:
    """Findings in a model file. `trust`: the hash for --trust-pickle, if it is needed."""

    kind: SourceKind
    findings: Findings
    trust: str | None


def describe_model(path: Path) -> Described:
    """Find values for a model card in a file. A child process reads it, without running its code.

    Raises:
        ModelError: unknown kind, damaged, or nothing that can be converted.
    """
    with tempfile.TemporaryDirectory(prefix="edge-convert-") as scratch:
        folder = Path(scratch)
        staged = _stage(path, folder)
        request = ChildRequest(
            name=path.name,
            sha256=staged.sha256,
            parts=tuple(name for name, _ in staged.parts),
            architecture=None,
            class_count=0,
            trusted=False,
            limits=child_process.LIMITS,
            describes=True,
        )
        write_request(folder, request, np.zeros((0, 3, 1, 1), np.float32))
        answer = child_process.run_child(folder, request)
    if answer.kind is None:
        raise ModelError("the process that opened the model returned a damaged answer.")
    trust = f"sha256:{staged.sha256}" if answer.facts.get("trusted_pickle") else None
    return Described(answer.kind, from_json(answer.facts.get("findings")), trust)


def _stage(path: Path, folder: Path) -> Staged:
    files = parts_of(path)
    return stage_all(files, source_copies(folder, len(files)))


def _require_same_digest(name: str, sha256: str, trusted_digest: str | None) -> None:
    if trusted_digest not in (None, sha256):
        raise ModelError(
            f"{name} has sha256:{sha256}, --trust-pickle names sha256:{trusted_digest}. "
            "Check which file was meant; nothing of it was run."
        )


def _digest(trust_pickle: str | None) -> str | None:
    if trust_pickle is None:
        return None
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", trust_pickle.lower())
    if found is None:
        raise ConfigError(
            f"--trust-pickle is {trust_pickle[:80]!r}; give sha256: and 64 hexadecimal digits, as "
            "the refusal of the file shows them."
        )
    return found[1]
