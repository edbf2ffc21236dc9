"""Reads a file of torch.save or pickle.dump, in any of their formats, as plain data."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from torch import Tensor

from converters.loading.pickled.machine import PickleError, TruncatedError, read_pickle
from converters.loading.pickled.tensors import TensorRebuild

# Files of torch.save before 1.6 begin with a pickle of this number.
_OLD_MAGIC: Final = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True, slots=True)
class Content:
    """A file's content, and every name in its pickle, in order.

    `tree` is made of dictionaries, lists, tuples, texts, numbers and tensors. Whatever would need
    code is a `RecordedCall` or an `ImportedName`.
    """

    tree: Any
    names: tuple[str, ...]


def read_torch_file(path: Path) -> Content:
    """Read a whole file, without running its code.

    Raises:
        PickleError: not such a file, or damaged.
    """
    names: dict[str, None] = {}
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        tree = _read_zip(file, names) if is_zip else _read_stream(file, names)
    return Content(tree, tuple(names))


def _read_zip(file: BinaryIO, names: dict[str, None]) -> Any:
    with zipfile.ZipFile(file) as archive:
        roots = [n.removesuffix("data.pkl") for n in archive.namelist() if n.endswith("/data.pkl")]
        root = min(roots, key=len)
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big":
            raise PickleError("it was saved on a machine with big-endian numbers")
        rebuild = TensorRebuild(_ZipStorages(archive, root), _refuse_inner)
        return read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")), rebuild, names)


def _read_stream(file: BinaryIO, names: dict[str, None]) -> Any:
    storages = _StreamStorages(file.seek(0, os.SEEK_END))
    file.seek(0)

    def read_inner(inner: io.BytesIO) -> Any:
        return _read_old(inner, names, _refuse_inner)

    rebuild = TensorRebuild(storages, read_inner)
    tree = read_pickle(file, rebuild, names)
    is_old = isinstance(tree, int) and tree == _OLD_MAGIC
    return _read_old(file, names, _refuse_inner) if is_old else tree


def _read_old(
    file: BinaryIO, names: dict[str, None], read_inner: Callable[[io.BytesIO], Any]
) -> Any:
    """The format before torch 1.6: five pickles, then the data of each tensor."""
    storages = _StreamStorages(file.seek(0, os.SEEK_END))
    file.seek(0)
    rebuild = TensorRebuild(storages, read_inner)
    magic, _version, _system, tree, keys = (read_pickle(file, rebuild, names) for _ in range(5))
    if magic != _OLD_MAGIC:
        raise PickleError("it holds a tensor in a format that torch does not write")
    storages.fill(file, keys)
    return tree


def _refuse_inner(_: io.BytesIO) -> Any:
    raise PickleError("it holds a torch file within a torch file")


class _ZipStorages:
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        self._archive = archive
        self._root = root
        self._read: dict[str, Tensor] = {}

    def get(self, key: str, size_bytes: int) -> Tensor:
        if key not in self._read:
            content = bytearray(self._archive.read(f"{self._root}data/{key}"))
            if len(content) < size_bytes:
                raise PickleError("it holds a tensor larger than its data")
            self._read[key] = (
                torch.frombuffer(content, dtype=torch.uint8)
                if content
                else torch.empty(0, dtype=torch.uint8)
            )
        return self._read[key]


class _StreamStorages:
    """Storages whose data come after the pickle that refers to them."""

    def __init__(self, file_bytes: int) -> None:
        self._left_bytes = file_bytes
        self._read: dict[str, Tensor] = {}

    def get(self, key: str, size_bytes: int) -> Tensor:
        if key not in self._read:
            self._left_bytes -= size_bytes
            if size_bytes < 0 or self._left_bytes < 0:
                raise TruncatedError("it is truncated, or declares more data than it holds")
            self._read[key] = torch.zeros(size_bytes, dtype=torch.uint8)
        return self._read[key]

    def fill(self, file: BinaryIO, keys: Any) -> None:
        """Read the data of each storage, which follow its length."""
        for key in keys:
            target = self._read[key]
            file.read(8)
            content = file.read(target.numel())
            if len(content) != target.numel():
                raise TruncatedError("it is truncated")
            if content:
                target.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
