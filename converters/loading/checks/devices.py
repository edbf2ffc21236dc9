"""Replaces GPUs by the CPU in files that were saved on a GPU."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

from converters.loading.sandbox.messages import SourceKind

# `meta` tensors have no memory on any device.
_KEPT: Final = ("cpu", "meta")
_DEVICE_IN_CODE: Final = re.compile(rb'torch\.device\("(?!(?:cpu|meta)")\w+(?::\d+)?"\)')
_SAMPLE_INPUTS: Final = "data/sample_inputs/model.pt"


def on_cpu(path: Path, kind: SourceKind) -> Path:
    """The file itself; if it names a GPU, a changed copy beside it."""
    change = _in_exported if kind is SourceKind.EXPORTED_PROGRAM else _in_script
    with zipfile.ZipFile(path) as archive:
        changed = {
            name: content
            for name in archive.namelist()
            if (content := change(name.partition("/")[2], archive, name)) is not None
        }
        if not changed:
            return path
        copy = path.with_name(f"{path.name}.cpu")
        with zipfile.ZipFile(copy, "w") as target:
            for name in archive.namelist():
                target.writestr(name, changed.get(name) or archive.read(name))
    return copy


def _in_script(entry: str, archive: zipfile.ZipFile, name: str) -> bytes | None:
    if not (entry.startswith("code/") and entry.endswith(".py")):
        return None
    content, count = _DEVICE_IN_CODE.subn(b'torch.device("cpu")', archive.read(name))
    return content if count else None


def _in_exported(entry: str, archive: zipfile.ZipFile, name: str) -> bytes | None:
    if entry.endswith(".json") and not entry.startswith("extra/"):
        values = json.loads(archive.read(name))
        return json.dumps(values).encode() if _move(values) else None
    if entry == _SAMPLE_INPUTS and b"cpu" not in archive.read(name):
        buffer = io.BytesIO()
        inputs = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)
        torch.save(inputs, buffer)
        return buffer.getvalue()
    return None


def _move(values: Any) -> bool:
    """Replace every other device by the CPU, in place; returns whether there was any."""
    if isinstance(values, list):
        return sum(map(_move, values)) > 0
    if not isinstance(values, dict):
        return False
    if values.keys() == {"type", "index"} and values["type"] not in _KEPT:
        values.update(type="cpu", index=None)
        return True
    return sum(map(_move, values.values())) > 0
