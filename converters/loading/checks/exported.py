"""Checks what a .pt2 file would run, from its entries, before torch opens it.

torch.export.load unpickles parts of the file, evaluates its shape expressions as Python, and calls
any function below `torch.` that the nodes name.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch

from converters.loading.checks.allowed import ATEN, EXPORTED_ONLY, SHAPE_ARITHMETIC

_ENTRIES: Final = re.compile(
    r"models/model\.json|data/sample_inputs/model\.pt|extra/.*"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|archive_format|archive_version|version|byteorder|\.data/.*"
)
_OPERATOR: Final = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)|_operator\.(\w+)")
# Overloads that write into a tensor given by the file, whose size is not checked.
_INTO_ANOTHER: Final = re.compile(r"(.*_)?out")
# sympy evaluates these strings as Python; allowed are its own names, symbols like s0, arithmetic.
_SHAPES: Final = re.compile(
    r"(Symbol|Integer|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|Max|Min|Eq|Ne|Lt|Le|Gt|Ge"
    r"|positive|nonnegative|integer|True|False|'[su]\d+'|[su]\d+\b|\d+|[-+*/(),=<> ])*"
)
# Names become part of a Python function that torch generates.
_NAME: Final = re.compile(r"[\w.]*")
# Numbers that JSON cannot write.
_NOT_IN_JSON: Final = ("Infinity", "-Infinity", "NaN")
# Comments, and guards, which are not evaluated because the module is made without them.
_FREE_TEXT: Final = frozenset({"metadata", "guards_code", "torch_version", "as_string"})
# Devices, and containers of arguments. Other types may import a module by its name.
_TYPES: Final = frozenset(
    {"cpu", "cuda", "mps", "xpu"}
    | {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
)


def find_disallowed(path: Path) -> str | None:
    """The first part of the file that is not allowed, for a message; None if there is none."""
    archive = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001  # the reader torch.export.load uses
    entries = archive.get_all_records()
    strange = [entry for entry in entries if not _ENTRIES.fullmatch(entry)]
    if strange or len(entries) != _entry_count(path):
        return f"entry {strange[0][:80]}" if strange else "entries outside its folder"
    for entry in entries:
        if entry.endswith(".json") and not entry.startswith("extra/"):
            found = next(_disallowed_values(json.loads(archive.get_record(entry))), None)
            if found is not None:
                return f"{entry}: {found[:120]}"
    return None


def _entry_count(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return len([e for e in archive.namelist() if "/" in e])


def _disallowed_values(values: Any) -> Iterator[str]:
    return (f"{key} {leaf}" for key, leaf in _leaves("", values) if not _is_plain(key, leaf))


def _leaves(key: str, values: Any) -> Iterator[tuple[str, Any]]:
    """All scalars with their keys, and all keys themselves."""
    if isinstance(values, list):
        for value in values:
            yield from _leaves(key, value)
    elif isinstance(values, dict):
        for inner, value in values.items():
            yield "key", inner
            if inner not in _FREE_TEXT:
                yield from _leaves(inner, value)
    else:
        yield key, values


def _is_plain(key: str, leaf: Any) -> bool:
    if key == "use_pickle":
        return leaf is False
    if not isinstance(leaf, str) or (key == "as_float" and leaf in _NOT_IN_JSON):
        return True
    if key in ("target", "as_operator"):
        return _is_allowed(leaf)
    if key == "expr_str":
        return bool(_SHAPES.fullmatch(leaf))
    if key in ("in_spec", "out_spec", "context"):
        return leaf == "" or next(_disallowed_values(json.loads(leaf)), None) is None
    return bool(_NAME.fullmatch(leaf)) and (key != "type" or leaf in _TYPES)


def _is_allowed(target: str) -> bool:
    found = _OPERATOR.fullmatch(target)
    if found is None:
        return False
    namespace, name, overload, arithmetic = found.groups()
    if arithmetic is not None:
        return arithmetic in SHAPE_ARITHMETIC
    return f"{namespace}::{name}" in ATEN | EXPORTED_ONLY and not _INTO_ANOTHER.fullmatch(overload)
