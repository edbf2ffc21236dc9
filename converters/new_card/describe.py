"""What a model's own file tells for its card. Runs in the child that opens strangers' files."""

from __future__ import annotations

import ast
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from converters.loading.border import Request, SourceKind
from converters.new_card.findings import Finding, Findings, class_names, is_triple
from edge.errors import ModelError

# Where trainings and exporters write the names of the classes, and the side of their images.
_CLASS_KEYS: Final = (
    *("classes", "class_names", "names", "label_names", "labels", "categories", "vocab"),
    *("class_to_idx", "idx_to_class", "id2label", "label2id", "idx2label"),
)
_SIDE_KEYS: Final = ("img_size", "image_size", "imgsz", "input_size", "crop_size")
# Of TorchScript: what torch.jit.save was given beside the network.
_EXTRA: Final = "extra/"
_MOST_TEXT_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Description:
    """What a file tells. `needs_trust`: it is opened with `--trust-pickle` alone."""

    kind: SourceKind
    findings: Findings
    needs_trust: bool = False


def describe(kind: SourceKind, path: Path, request: Request) -> Description:
    """What the file tells; nothing in it is run.

    Raises:
        ModelError: it cannot be read, or no conversion takes it.
    """
    if kind is SourceKind.ONNX:
        return Description(kind, _describe_onnx(path, request))
    if kind in (SourceKind.TORCHSCRIPT, SourceKind.EXPORTED_PROGRAM):
        found = _noted(_extra_texts(path), "the file's notes")
        return Description(kind, found, needs_trust=_needs_trust(kind, path, request))
    from converters.new_card.describe_weights import (
        describe_parts,
        describe_pickle,
        describe_safetensors,
    )

    if request.parts:
        return Description(kind, describe_parts(kind, path.parent, request))
    if kind is SourceKind.SAFETENSORS:
        return Description(kind, describe_safetensors(path))
    return describe_pickle(path, request)


def _needs_trust(kind: SourceKind, path: Path, request: Request) -> bool:
    """Refuses TorchScript that no conversion opens."""
    from converters.loading.checks.exported import what_it_runs
    from converters.loading.checks.torchscript import check_torchscript

    if kind is SourceKind.EXPORTED_PROGRAM:
        return what_it_runs(path) is not None
    check_torchscript(path, request.name)
    return False


def _describe_onnx(path: Path, request: Request) -> Findings:
    from converters.loading.graph import parse_graph
    from converters.onnx_graph.lookup import graph_inputs

    graph = parse_graph(path.read_bytes(), request.name)
    images = graph_inputs(graph)
    if not images or not graph.graph.output:
        raise ModelError(f"{request.name} has no input or no output; give an image classifier.")
    height, width = _size(_shape(images[0]))
    noted = _noted({p.key: p.value for p in graph.metadata_props}, "the file's notes")
    outputs = (_shape(graph.graph.output[0]) or [0])[-1]
    own = Findings(
        height=_found(height, "the graph's input"),
        width=_found(width, "the graph's input"),
        outputs=_found(outputs, "the graph's output"),
    )
    return own.or_else(noted)


def _size(shape: list[int]) -> list[int]:
    """Height and width of images with their channels first or last."""
    return shape[1:3] if len(shape) == 4 and shape[3] in (1, 3) else [*shape, 0, 0, 0, 0][2:4]


def _shape(value: Any) -> list[int]:
    """The sizes of an input or output, 0 where one is open."""
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


def _noted(texts: Mapping[str, str], origin: str) -> Findings:
    """What notes of texts say, some of which are JSON or Python literals."""
    notes: dict[Any, Any] = {}
    for key, text in texts.items():
        value = _literal(text)
        notes.update(value if isinstance(value, dict) and key not in _CLASS_KEYS else {key: value})
    return noted(notes, origin)


def _literal(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text[:_MOST_TEXT_BYTES])
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return text


def noted(notes: Mapping[Any, Any], origin: str) -> Findings:
    """What a training or an exporter wrote beside the network, under the usual names."""
    names = next((n for k in _CLASS_KEYS if (n := class_names(notes.get(k)))), None)
    size = next((s for k in _SIDE_KEYS if (s := _sides(notes.get(k)))), None)
    triples = {
        key: Finding([float(v) for v in notes[key]], origin)
        for key in ("mean", "std")
        if is_triple(notes.get(key))
    }
    crop = notes.get("crop_pct")
    interpolation = notes.get("interpolation")
    return Findings(
        classes=Finding(names, origin) if names else None,
        height=Finding(size[0], origin) if size else None,
        width=Finding(size[1], origin) if size else None,
        interpolation=Finding(interpolation, origin) if isinstance(interpolation, str) else None,
        crop=Finding(crop, origin) if isinstance(crop, float) else None,
        **triples,
    )


def _sides(value: Any) -> tuple[int, int] | None:
    """Height and width of a side, a pair, or channels and a pair."""
    numbers = list(_numbers(value))
    if len(numbers) == 3 and numbers[0] in (1, 3):
        numbers = numbers[1:]
    sides = numbers * 2 if len(numbers) == 1 else numbers
    return (sides[0], sides[1]) if len(sides) == 2 and all(8 <= n <= 4096 for n in sides) else None


def _numbers(value: Any) -> Iterator[int]:
    for number in value if isinstance(value, list | tuple) else [value]:
        if type(number) is int:
            yield number
