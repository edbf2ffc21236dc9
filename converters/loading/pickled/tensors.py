"""Builds torch tensors and numpy arrays from the data in a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from converters.loading.pickled.machine import ImportedName, PickleError, RecordedCall
from converters.loading.pickled.plain import plain_value

_DTYPES: Final = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
# For these the tensor, not the storage, has the type.
_UNTYPED: Final = ("torch.storage.UntypedStorage", "torch.UntypedStorage")
_TENSORS: Final = frozenset(
    f"torch._utils._rebuild_tensor{version}" for version in ("", "_v2", "_v3")
)
_PARAMETERS: Final = ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter")
_ARRAYS: Final = frozenset(
    f"numpy.{core}.{maker}"
    for core in ("core", "_core")
    for maker in ("multiarray._reconstruct", "numeric._frombuffer")
)


class Storages(Protocol):
    """The tensor data of a file."""

    def get(self, key: str, size_bytes: int) -> Tensor:
        """The bytes under a key, uint8 of one dimension."""


@dataclass(frozen=True, slots=True)
class _Storage:
    content: Tensor
    dtype: torch.dtype | None


@dataclass(frozen=True, slots=True)
class TensorRebuild:
    """The `Rebuild` for torch files.

    Attributes:
        read_inner: reads a torch file inside the pickle, as `pickle.dump` of a tensor writes it.
    """

    storages: Storages
    read_inner: Callable[[io.BytesIO], Any]

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The result of calling the named function or class."""
        if name in _TENSORS:
            return _tensor(*arguments)
        if name.startswith(_PARAMETERS):
            return arguments[0]
        if name == "torch._tensor._rebuild_from_type_v2" and isinstance(arguments[0], ImportedName):
            # A tensor of a subclass.
            return self.call(arguments[0].name, arguments[2])
        if name == "torch.storage._load_from_bytes":
            return self.read_inner(io.BytesIO(arguments[0]))
        return plain_value(name, arguments)

    def storage(self, identifier: Any) -> Any:
        """The storage of a tensor; `RecordedCall` for types that are not supported here."""
        if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
            raise PickleError("it refers to something that is not the storage of a tensor")
        kind, key, _, count, *views = identifier[1:]
        name = kind.name if isinstance(kind, ImportedName) else ""
        dtype = _DTYPES.get(name)
        if (dtype is None and name not in _UNTYPED) or any(views):
            return RecordedCall(name, (str(key),))
        return _Storage(
            self.storages.get(str(key), count * (dtype.itemsize if dtype else 1)), dtype
        )


def as_tensor(content: object) -> Tensor | None:
    """A tensor, also from a numpy array; None for anything else."""
    if isinstance(content, Tensor):
        return content
    if not isinstance(content, RecordedCall) or content.name not in _ARRAYS:
        return None
    try:
        return _array(content)
    except (TypeError, ValueError, AttributeError):
        return None


def _tensor(storage: object, offset: int, size: Any, stride: Any, *more: Any) -> Any:
    types = [value.name for value in more if isinstance(value, ImportedName)]
    if not isinstance(storage, _Storage):
        return RecordedCall("torch._utils._rebuild_tensor", (storage,))
    found = storage.dtype or getattr(torch, types[0].removeprefix("torch.") if types else "", None)
    if not isinstance(found, torch.dtype):
        raise PickleError("it holds a tensor without a type")
    whole = storage.content.numel() // found.itemsize * found.itemsize
    try:
        return storage.content[:whole].view(found).as_strided(size, stride, offset)
    except (RuntimeError, TypeError) as error:
        raise PickleError("it holds a tensor larger than its data") from error


def _array(content: RecordedCall) -> Tensor:
    if content.name.endswith("_frombuffer"):
        numbers, kind, shape, order = content.arguments
    else:
        _, shape, kind, is_fortran, numbers = content.state
        order = "F" if is_fortran else "C"
    # The type is a text such as "f4"; its byte order is in the state.
    dtype = np.dtype(kind.arguments[0]).newbyteorder(kind.state[1])
    if dtype.kind not in "fiub":
        raise TypeError(f"an array of {dtype}")
    array = np.frombuffer(bytes(numbers), dtype).reshape(shape, order=order)
    return torch.from_numpy(np.array(array, dtype.newbyteorder("="), order="C"))
