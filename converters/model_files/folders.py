"""Finds the model file in a folder that transformers or timm has saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from converters.model_files.other_files import MODEL_SUFFIXES
from converters.model_files.shards import index_of, is_index, is_part
from edge.errors import ModelError

WEIGHTS: Final = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json", "model.onnx"),
)
_MOST_ENTRIES: Final = 10_000
_SHOWN: Final = 4
# By an entry's name, what the folder is, and advice.
_OTHERS: Final[dict[str, str]] = {
    "saved_model.pb": "a SavedModel of TensorFlow. Export it to ONNX with tf2onnx.",
    "data.pkl": "an unpacked torch file. Give the file itself.",
    "zero_to_fp32.py": "a checkpoint of DeepSpeed. Run its zero_to_fp32.py and give the file that "
    "it writes.",
    ".metadata": "a distributed checkpoint. Run python -m "
    "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt.",
}


def model_in(path: Path) -> Path:
    """The file with the weights, if `path` is a folder; otherwise `path` itself.

    For weights in several files it is their index, or one of the parts if there is no index.

    Raises:
        ModelError: the folder is of another kind, or has no file with a known name.
    """
    if not path.is_dir():
        return index_of(path)
    names = _names_in(path)
    for name in WEIGHTS:
        if name in names:
            return path / name
    for name, what in _OTHERS.items():
        if name in names:
            raise ModelError(f"{path.name} is {what}")
    parts = sorted(filter(is_index, names)) or sorted(filter(is_part, names))
    if parts:
        return path / parts[0]
    raise ModelError(f"{path} is a folder {_content_text(names)}")


def _names_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry, _ in zip(entries, range(_MOST_ENTRIES), strict=False)}
    except OSError as error:
        raise ModelError(f"{folder} cannot be read ({error.strerror}).") from error


def _content_text(names: set[str]) -> str:
    models = sorted(name for name in names if name.endswith(MODEL_SUFFIXES))
    if models:
        more = ", ..." if len(models) > _SHOWN else ""
        found = ", ".join(name[:80] for name in models[:_SHOWN])
        return f"that holds {found}{more}. Give the file of the model."
    return f"without {' or '.join(WEIGHTS[::2])}. Give the file of the model, such as model.pt."
