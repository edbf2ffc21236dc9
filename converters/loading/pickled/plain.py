"""Sorts the names in a pickle: plain data, objects of the training, or access to the system."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from converters.loading.pickled.machine import ImportedName, RecordedCall

_MAPPINGS: Final = frozenset(
    {"collections.OrderedDict", "collections.Counter", "collections.defaultdict", "builtins.dict"}
)
_SEQUENCES: Final = frozenset({"builtins.set", "builtins.frozenset", "builtins.list"})
_PATHS: Final = ("pathlib.", "pathlib._local.")
# Functions with which torch and numpy save tensors and arrays; they run no foreign code.
_NUMBERS: Final = ("torch._utils._rebuild_", "torch._tensor._rebuild_", "torch.storage.")
_ARRAYS: Final = ("numpy.dtype", "numpy.ndarray", "numpy.core.", "numpy._core.", "numpy.dtypes.")
# Modules of the standard library that only hold values. No training needs others, which could
# access files, processes or the network.
_VALUE_MODULES: Final = frozenset(
    {"argparse", "array", "collections", "copyreg", "datetime", "decimal", "enum", "fractions"}
    | {"functools", "pathlib", "random", "re", "types", "typing", "uuid", "zoneinfo", "dataclasses"}
)
_VALUE_TYPES: Final = frozenset(
    f"builtins.{name}"
    for name in (
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "getattr", "int"),
        *("list", "object", "range", "set", "slice", "str", "tuple", "type"),
    )
)


def other_than_data(names: Iterable[str]) -> list[str]:
    """The names of everything except plain data: numbers, texts, paths and containers."""
    return [name for name in names if not _is_plain(name)]


def dangerous(names: Iterable[str]) -> list[str]:
    """The names in the standard library that could access files, processes or the network."""
    return [name for name in names if _is_dangerous(name)]


def plain_value(name: str, arguments: tuple[Any, ...]) -> Any:
    """The result of calling a plain data type; `RecordedCall` for every other name."""
    if name in _MAPPINGS:
        return _mapping(arguments)
    if name in _SEQUENCES:
        return list(arguments[0]) if arguments else []
    texts = [part for part in arguments if isinstance(part, str)]
    if name == "_codecs.encode" and len(texts) == 2:
        return texts[0].encode("latin-1" if texts[1] == "latin1" else "utf-8")
    if name.startswith(_PATHS) and len(texts) == len(arguments):
        return "/".join(texts).replace("//", "/")
    if name in ("copyreg._reconstructor", "copyreg.__newobj__") and _names_class(arguments):
        content = arguments[-1]
        items = content if isinstance(content, dict | list) else []
        return RecordedCall(arguments[0].name, arguments[1:], items=items)
    return RecordedCall(name, arguments)


def as_mapping(content: object) -> dict[Any, Any] | None:
    """The content of a dictionary, or the attributes of a recorded object; else None."""
    if isinstance(content, RecordedCall):
        content = content.items or content.state
    return content if isinstance(content, dict) else None


def _is_plain(name: str) -> bool:
    if name.startswith((*_NUMBERS, *_ARRAYS, *_PATHS)) or name.endswith("Storage"):
        return True
    if name in _MAPPINGS | _SEQUENCES | _VALUE_TYPES:
        return True
    return name in ("argparse.Namespace", "_codecs.encode", "torch.Size", "torch.device") or (
        name.startswith("torch.") and name.count(".") == 1 and name.islower()
    )


def _is_dangerous(name: str) -> bool:
    module = name.partition(".")[0]
    if module not in sys.stdlib_module_names or module in _VALUE_MODULES:
        return False
    return name not in _VALUE_TYPES | {"_codecs.encode"}


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    # A defaultdict's first argument is its factory, not its content.
    content = next((a for a in arguments if isinstance(a, dict | list)), {})
    return content if isinstance(content, dict) else dict(content)


def _names_class(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ImportedName)
