"""Reads weights that are split over several files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from converters.loading.file_kind.detect import detect_kind
from converters.loading.pickled.plain import other_than_data
from converters.loading.sandbox.messages import ChildRequest, SourceKind, source_copies
from converters.loading.weights.candidates import Candidate, find_candidates
from converters.loading.weights.read import read_pickle_file, read_safetensors
from edge.errors import ModelError


def kind_of_parts(folder: Path, request: ChildRequest) -> SourceKind:
    """The common kind of the parts in the child's folder.

    Raises:
        ModelError: their kinds differ, or the kind cannot be split into parts.
    """
    copies = source_copies(folder, len(request.parts))
    kinds = [detect_kind(p, name) for name, p in zip(request.parts, copies, strict=True)]
    for kind, name in zip(kinds, request.parts, strict=True):
        if kind not in (SourceKind.SAFETENSORS, SourceKind.STATE_DICT) or kind != kinds[0]:
            raise ModelError(
                f"{name} is {kind}, and {request.parts[0]} is {kinds[0]}; parts of one model are "
                "files of tensors of one kind. Give the model as one file."
            )
    return kinds[0]


def read_parts(kind: SourceKind, folder: Path, request: ChildRequest) -> Candidate:
    """All tensors of the parts.

    Raises:
        ModelError: a part cannot be read or has other content, or a tensor is in two parts.
    """
    tensors: dict[str, Tensor] = {}
    holder: dict[str, str] = {}
    copies = source_copies(folder, len(request.parts))
    for name, path in zip(request.parts, copies, strict=True):
        is_safetensors = kind is SourceKind.SAFETENSORS
        part = read_safetensors(path)[0] if is_safetensors else _pickled(path, name, request)
        for doubled in sorted(tensors.keys() & part.keys()):
            raise ModelError(
                f"{request.name}: both {holder[doubled]} and {name} hold {doubled[:80]}, so they "
                "are not parts of one model. Copy the parts of one saving into a folder of its own."
            )
        tensors |= part
        holder |= dict.fromkeys(part, name)
    return Candidate("", tensors)


def _pickled(path: Path, name: str, request: ChildRequest) -> dict[str, Tensor]:
    content = read_pickle_file(path, replace(request, name=name))
    code = other_than_data(content.names)
    found = [c for c in find_candidates(content.tree) if not c.key]
    if code or not found:
        what = f"names {code[0][:80]}" if code else "has no tensors under names"
        raise ModelError(
            f"{name} is not a part of a model's weights (it {what}); a dictionary of tensors alone "
            "is needed. Give the model as one file."
        )
    return dict(found[0].tensors)
