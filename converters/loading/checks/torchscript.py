"""Checks a whole TorchScript archive before torch loads it, since loading already runs code."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch

from converters.loading.checks.allowed import ATEN, SCRIPT_PRIMITIVES, SCRIPT_WORDS, WITH_OUT
from converters.loading.checks.script_objects import read_objects
from converters.loading.checks.script_source import (
    calls_in,
    fields_of,
    methods_of,
    parse_source,
)
from edge.errors import ModelError

# The entries that torch.jit.save writes. torch.jit.load reads others too, such as model.json of the
# format before 2019.
_ENTRIES: Final = re.compile(
    r"(constants|data|traced_inputs|bytecode)(\.pkl|/[\w.]+)|code/[\w/]+\.py(\.debug_pkl)?"
    r"|version|byteorder|\.data/.*|\.format_version|\.storage_alignment|extra/.*"
)
_SOURCE: Final = re.compile(r"code/([\w/]+)\.py")
# traced_inputs.pkl is missing here: torch.jit.load reads it only if asked for shapes.
_PICKLE: Final = re.compile(r"(constants|data)\.pkl")
# Raised by Python's unpickler for data that is no pickle, and by torch's reader for a missing
# entry.
_UNREADABLE: Final = (
    *(pickle.UnpicklingError, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError, AttributeError),
)


def check_torchscript(path: Path, name: str) -> None:
    """Refuse an archive that does more than the layers of a network.

    Raises:
        ModelError: it calls an operator that is not in the list, or has code that torch does not
            write.
    """
    archive = torch._C.PyTorchFileReader(str(path))  # noqa: SLF001  # the reader torch.jit.load uses
    found = next(_find_disallowed(archive), None)
    if found is not None:
        raise ModelError(
            f"{name} is TorchScript that uses {found}, which no classifier needs and which is not "
            "in the list of what may run here. Export the network without it, or save its state "
            "dict and name its architecture in the card."
        )


def _find_disallowed(archive: Any) -> Iterator[str]:
    entries = archive.get_all_records()
    yield from (f"entry {e[:80]}" for e in entries if not _ENTRIES.fullmatch(e))
    sources = {found[1]: e for e in entries if (found := _SOURCE.fullmatch(e))}
    try:
        trees = {n: parse_source(archive.get_record(e)) for n, e in sources.items()}
    except (ValueError, SyntaxError) as error:
        yield f"code that torch does not write ({error})"
        return
    methods = {method for tree in trees.values() for method in methods_of(tree)}
    for tree in trees.values():
        calls = calls_in(tree)
        yield from calls.strange
        yield from sorted(calls.operators - ATEN - SCRIPT_PRIMITIVES - WITH_OUT)
        yield from sorted(calls.words - SCRIPT_WORDS)
        yield from (m for m in sorted(calls.methods) if not _is_own_method(m, methods))
    fields = {
        f"{module.replace('/', '.')}.{name}": types
        for module, tree in trees.items()
        for name, types in fields_of(tree)
    }
    yield from _disallowed_objects(archive, entries, fields)


def _is_own_method(name: str, methods: set[str]) -> bool:
    """Whether a method can only be one of the archive, not an operator called on a tensor."""
    is_operator = f"aten::{name}" in _operators() and f"aten::{name}" not in ATEN
    return name == "__new__" or (name in methods and not is_operator)


@cache
def _operators() -> frozenset[str]:
    return frozenset(schema.name for schema in torch._C._jit_get_all_schemas())  # noqa: SLF001


def _disallowed_objects(
    archive: Any, entries: list[str], fields: dict[str, dict[str, str]]
) -> Iterator[str]:
    for entry in entries:
        found = _PICKLE.fullmatch(entry)
        if not found:
            continue

        def size_bytes(key: str, folder: str = found[1]) -> int:
            # Read with torch's reader, so that any name gives the same entry as in torch.
            return len(archive.get_record(f"{folder}/{key}"))

        try:
            read_objects(archive.get_record(entry), size_bytes, fields)
        except _UNREADABLE as error:
            yield f"an object that torch does not write ({entry}: {str(error)[:120]})"
