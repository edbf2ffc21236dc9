"""Reads a file of weights as plain data."""

from __future__ import annotations

import zipfile
from pathlib import Path

from torch import Tensor

from converters.loading.pickled.machine import PickleError, TruncatedError
from converters.loading.pickled.torch_file import Content, read_torch_file
from converters.loading.sandbox.messages import ChildRequest
from edge.errors import ModelError


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, and its metadata."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dictionary
        return tensors, file.metadata() or {}


def read_pickle_file(path: Path, request: ChildRequest) -> Content:
    """Read a file of torch.save or pickle.dump as plain data.

    Raises:
        ModelError: it is damaged.
    """
    try:
        return read_torch_file(path)
    except PickleError as error:
        # In a ZIP file the checksums were right, so copying it again would not help.
        is_cut = isinstance(error, TruncatedError) and not zipfile.is_zipfile(path)
        advice = "Copy it again" if is_cut else "Save it with torch.save(model.state_dict(), FILE)"
        raise ModelError(f"{request.name} cannot be read ({error}). {advice}.") from error
