"""Open `.pt2`, what torch.export.save writes. Runs in the child.

torch.export.load unpickles parts of the file, evaluates its shape expressions as Python and
calls whatever its nodes name below `torch.`, so all of that is read and checked before.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from converters.loading.border import Request
from edge.errors import ModelError

_ENTRIES: Final = re.compile(
    r"models/model\.json|data/sample_inputs/model\.pt|extra/.*"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|archive_format|archive_version|version|byteorder|\.data/.*"
)
_ARITHMETIC: Final = "getitem|add|sub|mul|truediv|floordiv|mod|neg|pow|eq|ne|lt|le|gt|ge"
_OPERATORS: Final = re.compile(
    rf"torch\.ops\.aten\.(?!__|from_file)\w+\.(?!__)\w+|_operator\.({_ARITHMETIC})"
)
# sympy evaluates these strings as Python: only its own names, symbols like s0, and arithmetic.
_SHAPES: Final = re.compile(
    r"(Symbol|Integer|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|Max|Min|Eq|Ne|Lt|Le|Gt|Ge"
    r"|positive|nonnegative|integer|True|False|'[su]\d+'|[su]\d+\b|\d+|[-+*/(),=<> ])*"
)
# Names become part of a Python function that torch generates.
_NAME: Final = re.compile(r"[\w.]*")
# Notes for people, and guards, which are not asked for when the module is made.
_FREE_TEXT: Final = frozenset({"metadata", "guards_code", "torch_version", "as_string"})
# Devices, and the containers of arguments; others may import a module by its name.
_TYPES: Final = frozenset(
    {"cpu", "cuda", "mps", "xpu"}
    | {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
)


def open_exported_program(path: Path, request: Request) -> tuple[nn.Module, dict[str, Any]]:
    """The program as a module, and facts.

    Raises:
        ModelError: it would run code when loaded and is not trusted.
    """
    reason = _what_it_runs(path)
    if reason is not None and not request.trusted:
        raise ModelError(
            f"{request.name} is a .pt2 file that may run code when loaded ({reason}); one of "
            "tensors and aten operators is needed. Save the state dict instead, or if you know "
            f"who made it give --trust-pickle sha256:{request.sha256}"
        )
    with path.open("rb") as file:
        program = torch.export.load(file)
    module = program.module(check_guards=False)
    # The check of the input's shape is one of a fixed batch, and cannot be traced.
    module._forward_pre_hooks.clear()  # noqa: SLF001  # torch has no public name for it
    module.graph.eliminate_dead_code()
    module.recompile()
    return module, {} if reason is None else {"trusted_pickle": True, "names_run": [reason]}


def _what_it_runs(path: Path) -> str | None:
    """The first thing in the file that is not plain data, or None."""
    archive = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001  # the reader torch.export.load uses
    entries = archive.get_all_records()
    strange = [entry for entry in entries if not _ENTRIES.fullmatch(entry)]
    if strange or len(entries) != _entry_count(path):
        return f"entry {strange[0][:80]}" if strange else "entries outside its folder"
    for entry in entries:
        if entry.endswith(".json") and not entry.startswith("extra/"):
            found = next(_strange_values(json.loads(archive.get_record(entry))), None)
            if found is not None:
                return f"{entry}: {found[:120]}"
    return None


def _entry_count(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return len([e for e in archive.namelist() if "/" in e])


def _strange_values(values: Any) -> Iterator[str]:
    return (f"{key} {leaf}" for key, leaf in _leaves("", values) if not _is_plain(key, leaf))


def _leaves(key: str, values: Any) -> Iterator[tuple[str, Any]]:
    """All scalars with the key that they stand under, and all keys."""
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
    if not isinstance(leaf, str):
        return True
    if key in ("target", "as_operator"):
        return bool(_OPERATORS.fullmatch(leaf))
    if key == "expr_str":
        return bool(_SHAPES.fullmatch(leaf))
    if key in ("in_spec", "out_spec", "context"):
        return leaf == "" or next(_strange_values(json.loads(leaf)), None) is None
    return bool(_NAME.fullmatch(leaf)) and (key != "type" or leaf in _TYPES)
