"""Finds values for a model card in a model file. Runs in the child process."""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from converters.loading.describe.findings import (
    Description,
    Finding,
    Findings,
)
from converters.loading.describe.metadata import CLASS_KEYS, find_in_metadata
from converters.loading.sandbox.messages import ChildRequest, SourceKind
from edge.errors import ModelError

# Entries for the `_extra_files` of torch.jit.save and the `extra_files` of torch.export.save.
_EXTRA: Final = "extra/"
_MOST_TEXT_BYTES: Final = 256 * 1024


def describe(kind: SourceKind, path: Path, request: ChildRequest) -> Description:
    """Find values for a card in the file, without running its code.

    Raises:
        ModelError: it cannot be read or converted.
    """
    if kind is SourceKind.ONNX:
        return Description(kind, _describe_onnx(path, request))
    if kind in (SourceKind.TORCHSCRIPT, SourceKind.EXPORTED_PROGRAM):
        found = _in_metadata(_extra_texts(path), "the file's notes")
        return Description(kind, found, needs_trust=_needs_trust(kind, path, request))
    from converters.loading.describe.describe_weights import (
        describe_parts,
        describe_pickle,
        describe_safetensors,
    )

    if request.parts:
        return Description(kind, describe_parts(kind, path.parent, request))
    if kind is SourceKind.SAFETENSORS:
        return Description(kind, describe_safetensors(path))
    return describe_pickle(path, request)


def _needs_trust(kind: SourceKind, path: Path, request: ChildRequest) -> bool:
    """Whether a .pt2 file needs --trust-pickle; refuses TorchScript that cannot be opened."""
    from converters.loading.checks.exported import find_disallowed
    from converters.loading.checks.torchscript import check_torchscript

    if kind is SourceKind.EXPORTED_PROGRAM:
        return find_disallowed(path) is not None
    check_torchscript(path, request.name)
    return False


def _describe_onnx(path: Path, request: ChildRequest) -> Findings:
    from converters.loading.graph_file.graph import parse_graph
    from converters.onnx_graph.lookup import graph_inputs

    graph = parse_graph(path.read_bytes(), request.name)
    images = graph_inputs(graph)
    if not images or not graph.graph.output:
        raise ModelError(f"{request.name} has no input or no output; give an image classifier.")
    height, width = _size(_shape(images[0]))
    metadata = _in_metadata({p.key: p.value for p in graph.metadata_props}, "the file's notes")
    outputs = (_shape(graph.graph.output[0]) or [0])[-1]
    own = Findings(
        height=_found(height, "the graph's input"),
        width=_found(width, "the graph's input"),
        outputs=_found(outputs, "the graph's output"),
    )
    return own.completed_by(metadata)


def _size(shape: list[int]) -> list[int]:
    """Height and width of an image shape with channels first or last; 0 if dynamic."""
    return shape[1:3] if len(shape) == 4 and shape[3] in (1, 3) else [*shape, 0, 0, 0, 0][2:4]


def _shape(value: Any) -> list[int]:
    """The shape of an input or output; dynamic sizes are 0."""
    return [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]


def _found(number: int, origin: str) -> Finding | None:
    return Finding(number, origin) if number > 0 else None


def _extra_texts(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {
            entry.filename.rpartition("/")[2]: archive.read(entry).decode("utf-8", "replace")
            for entry in archive.infolist()
            if f"/{_EXTRA}" in entry.filename and entry.file_size < _MOST_TEXT_BYTES
        }


def _in_metadata(texts: Mapping[str, str], origin: str) -> Findings:
    """Findings in text entries, some of which are JSON or Python literals."""
    notes: dict[Any, Any] = {}
    for key, text in texts.items():
        value = _literal(text)
        notes.update(value if isinstance(value, dict) and key not in CLASS_KEYS else {key: value})
    return find_in_metadata(notes, origin)


def _literal(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text[:_MOST_TEXT_BYTES])
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return text
