"""Makes a private copy of the model file, so that the child opens exactly the hashed bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from edge.errors import ModelError, StorageError
from edge.files.safe_open import NotRegularError, open_regular

# The limit of ONNX in one file (protobuf); networks for cell images are far smaller.
MAX_SOURCE_BYTES: Final = 2 * 1024**3
_CHUNK_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Staged:
    """The hashes of the copied files.

    `sha256` is the file's hash. For several files it is the hash of the lines that `sha256sum`
    prints for them, and `parts` has the name and hash of each.
    """

    sha256: str
    parts: tuple[tuple[str, str], ...] = ()


def stage_all(paths: Sequence[Path], copies: Sequence[Path]) -> Staged:
    """Copy all files of a model, as `stage`; the size limit is for all of them together.

    Raises:
        ModelError, StorageError: as `stage`.
    """
    digests: list[str] = []
    left_bytes = MAX_SOURCE_BYTES
    for path, copy in zip(paths, copies, strict=True):
        digests.append(stage(path, copy, left_bytes))
        left_bytes -= copy.stat().st_size
    if len(paths) == 1:
        return Staged(digests[0])
    parts = tuple((path.name, digest) for path, digest in zip(paths, digests, strict=True))
    lines = "".join(f"{digest}  {name}\n" for name, digest in parts)
    return Staged(hashlib.sha256(lines.encode()).hexdigest(), parts)


def stage(path: Path, copy: Path, limit_bytes: int = MAX_SOURCE_BYTES) -> str:
    """Copy a model file; returns the SHA-256 of the copy.

    Links are followed, but must lead to a regular file.

    Raises:
        ModelError: a folder, pipe or device, unreadable, empty or too large.
        StorageError: the copy cannot be written.
    """
    with _opened(path) as source:
        size_bytes = os.fstat(source.fileno()).st_size
        if size_bytes > limit_bytes:
            before = MAX_SOURCE_BYTES - limit_bytes
            others = f" beside {before} of other parts" if before else ""
            raise ModelError(
                f"{path.name} has {size_bytes} bytes{others}, at most {MAX_SOURCE_BYTES} are "
                "taken. Save the weights alone, without the optimiser's state."
            )
        if size_bytes == 0:
            raise ModelError(f"{path.name} is empty, a trained model is needed. Copy it again.")
        return _copy(source, copy, limit_bytes)


def _opened(path: Path) -> BinaryIO:
    try:
        return os.fdopen(open_regular(path, follows_links=True), "rb")
    except NotRegularError as error:
        raise ModelError(
            f"{path.name} is a folder, pipe or device; give a regular file, or a link to one."
        ) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error


def _copy(source: BinaryIO, copy: Path, limit_bytes: int) -> str:
    digest, left = hashlib.sha256(), limit_bytes
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
