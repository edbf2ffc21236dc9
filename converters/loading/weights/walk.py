"""Walks through the nested dictionaries, lists and objects of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from torch import nn

from converters.loading.pickled.machine import RecordedCall

_DEEPEST: Final = 4
_MOST: Final = 1000
_HOLDERS: Final = (dict, list, tuple, RecordedCall, nn.Module)


def contents(tree: object) -> Iterator[tuple[str, object]]:
    """All dictionaries, lists, modules and `RecordedCall` objects with their keys, breadth first.

    The key of a list's item is its position. Attributes of objects are not visited.
    """
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], object]] = [((), tree)]
    while waiting and len(seen) < _MOST:
        keys, content = waiting.pop(0)
        if id(content) in seen or not isinstance(content, _HOLDERS):
            continue
        seen.add(id(content))
        yield ".".join(keys), content
        if len(keys) < _DEEPEST:
            waiting += [((*keys, key), value) for key, value in _entries(content)]


def items_of(content: object) -> object:
    """The items of a `RecordedCall`, such as of a subclass of dict; other content unchanged."""
    return content.items if isinstance(content, RecordedCall) else content


def _entries(content: object) -> Iterator[tuple[str, Any]]:
    held = items_of(content)
    if isinstance(held, dict):
        yield from ((key, value) for key, value in held.items() if isinstance(key, str))
    elif isinstance(held, list | tuple | nn.ModuleList):
        yield from ((str(place), v) for place, v in enumerate(held) if isinstance(v, _HOLDERS))
