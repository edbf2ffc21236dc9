"""A private copy of the model file: what is hashed is what the child opens."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from edge.errors import ModelError, StorageError

# ONNX in one file ends here, and no network for cell images comes near it.
MAX_SOURCE_BYTES: Final = 2 * 1024**3
_CHUNK_BYTES: Final = 1024**2


def stage(path: Path, copy: Path) -> str:
    """Copy a model file and give the SHA-256 of the copy.

    Links are followed; what they end at must be a regular file.

    Raises:
        ModelError: a folder, pipe or device, unreadable, empty or too large.
        StorageError: the copy cannot be written.
    """
    with _open_regular(path) as source:
        size_bytes = os.fstat(source.fileno()).st_size
        if size_bytes > MAX_SOURCE_BYTES:
            raise ModelError(
                f"{path.name} has {size_bytes} bytes, at most {MAX_SOURCE_BYTES} are taken. Save "
                "the weights alone, without the optimiser's state."
            )
        if size_bytes == 0:
            raise ModelError(f"{path.name} is empty, a trained model is needed. Copy it again.")
        return _copy(source, copy)


def _open_regular(path: Path) -> BinaryIO:
    try:
        # A device may act on being opened, so it is looked at first; between the look and the
        # opening the name may change, so what was opened is looked at again.
        _require_regular(path, path.stat().st_mode)
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        _require_regular(path, os.fstat(file.fileno()).st_mode)
    except ModelError:
        file.close()
        raise
    return file


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ModelError(
            f"{path.name} is a folder, pipe or device; give a regular file, or a link to one."
        )


def _copy(source: BinaryIO, copy: Path) -> str:
    digest, left = hashlib.sha256(), MAX_SOURCE_BYTES
    try:
        with copy.open("xb") as target:
            while left > 0 and (chunk := source.read(min(_CHUNK_BYTES, left))):
                digest.update(chunk)
                target.write(chunk)
                left -= len(chunk)
    except OSError as error:
        raise StorageError(
            f"the model cannot be copied to {copy.parent} ({error.strerror})."
        ) from error
    return digest.hexdigest()
