"""The model in a folder, as transformers and timm save it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from edge.errors import ModelError

WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin", "model.onnx")
_SHARD: Final = re.compile(r".*(-\d{5}-of-\d{5}\.(safetensors|bin)|\.index\.json)")
_MOST_ENTRIES: Final = 10_000
_ONE_FILE: Final = (
    "Save it as one: load it in torch and torch.save(model.state_dict(), 'model.pt')."
)
# An entry of a folder, and what the folder is.
_OTHERS: Final[dict[str, str]] = {
    "saved_model.pb": "a SavedModel of TensorFlow. Export it to ONNX with tf2onnx.",
    "data.pkl": "an unpacked torch file. Give the file itself.",
    "zero_to_fp32.py": f"a checkpoint of DeepSpeed. Run its zero_to_fp32.py. {_ONE_FILE}",
    ".metadata": "a distributed checkpoint. Run python -m "
    "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt.",
}


def model_in(path: Path) -> Path:
    """The file of the weights where `path` is a folder that holds one; otherwise `path` itself.

    Raises:
        ModelError: the weights are spread over several files, or it is a folder of another kind.
    """
    if not path.is_dir():
        if _SHARD.fullmatch(path.name):
            raise ModelError(f"{path.name} is one part of weights in several files. {_ONE_FILE}")
        return path
    with os.scandir(path) as entries:
        names = {entry.name for entry, _ in zip(entries, range(_MOST_ENTRIES), strict=False)}
    for name in WEIGHTS:
        if name in names:
            return path / name
    for name, what in _OTHERS.items():
        if name in names:
            raise ModelError(f"{path.name} is {what}")
    if any(_SHARD.fullmatch(name) for name in names):
        raise ModelError(f"{path.name} holds weights in several files. {_ONE_FILE}")
    return path
