"""Finds the parts of weights that a library saved in several files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from converters.model_files.other_files import START_BYTES, known_start
from edge.errors import ModelError
from edge.files.safe_open import read_bounded
from edge.files.strict_json import parse_json

_PART: Final = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.(safetensors|bin)")
_INDEX: Final = re.compile(r"(.+)\.(?:safetensors|bin)\.index(?:\.\w+)?\.json")
# Even the largest language models stay below these limits.
_MOST_PARTS: Final = 1000
_MOST_INDEX_BYTES: Final = 16 * 1024**2


def is_index(name: str) -> bool:
    """Whether this is the name of an index, which lists the part of each tensor."""
    return _INDEX.fullmatch(name) is not None


def is_part(name: str) -> bool:
    """Whether this is the name of one part of the weights."""
    return _PART.fullmatch(name) is not None


def index_of(path: Path) -> Path:
    """The index beside a part, if there is one; otherwise `path` itself."""
    found = _PART.fullmatch(path.name)
    index = path.with_name(f"{found[1]}.{found[4]}.index.json") if found else path
    return index if index.is_file() else path


def card_of(model: Path) -> Path:
    """The path of a model's card: `model.yaml` for `model.pt` and for all parts of `model`."""
    found = _INDEX.fullmatch(model.name) or _PART.fullmatch(model.name)
    return model.with_name(f"{found[1]}.yaml") if found else model.with_suffix(".yaml")


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files of a model's weights, in order; for a part or an index these are all parts.

    Raises:
        ModelError: a part is missing or in another folder, or the index is damaged.
    """
    if is_index(path.name):
        names = _listed(path)
    elif found := _PART.fullmatch(path.name):
        stem, _, count, suffix = found.groups()
        names = [f"{stem}-{n + 1:05}-of-{count}.{suffix}" for n in range(_count(path, int(count)))]
    else:
        return (path,)
    parts = tuple(path.with_name(name) for name in names)
    missing = [part.name for part in parts if not part.exists()]
    if missing:
        raise ModelError(
            f"{path.name} belongs to weights in {len(parts)} files and {missing[0][:100]} is not "
            f"beside it ({len(missing)} missing). Copy all of them into one folder."
        )
    return parts


def _listed(path: Path) -> list[str]:
    """The names of the parts in an index."""
    values = _read(path)
    places = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(places, dict) or not places:
        raise ModelError(
            f"{path.name} names no files of weights (it has no weight_map). Copy it again, or give "
            "the file of the weights itself."
        )
    names = sorted({str(name) for name in places.values()})
    for name in names:
        if name != Path(name).name or name in ("", ".", "..") or "\\" in name or "\0" in name:
            raise ModelError(
                f"{path.name} names {name[:100]!r}, but every part must be a file beside it. Check "
                "where it is from."
            )
    _count(path, len(names))
    return names


def _read(path: Path) -> Any:
    try:
        content = read_bounded(path, _MOST_INDEX_BYTES, follows_links=True)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read ({error.strerror}).") from error
    try:
        return parse_json(content)
    except ValueError as error:
        is_json = content.lstrip().startswith(b"{")
        known = None if is_json else known_start(content[:START_BYTES])
        reason = " ".join(str(error).split())[:100]
        advice = known or f"is not complete JSON ({reason}). Copy it again."
        raise ModelError(f"{path.name} {advice}") from error


def _count(path: Path, count: int) -> int:
    if not 0 < count <= _MOST_PARTS:
        raise ModelError(
            f"{path.name} belongs to weights in {count} files, 1 to {_MOST_PARTS} are taken."
        )
    return count
