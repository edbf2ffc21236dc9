"""All that lies in a file's dictionaries and lists, with the keys that lead there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from torch import nn

from converters.loading.pickled.machine import Made

_DEEPEST: Final = 4
_MOST: Final = 1000
_HOLDERS: Final = (dict, list, tuple, Made, nn.Module)


def contents(tree: object) -> Iterator[tuple[str, object]]:
    """Dictionaries, lists, modules and objects that were not made, the outermost first, each once.

    The key of what lies in a list is its place. What lies within other objects is not looked at.
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


def held_in(content: object) -> object:
    """The dictionary or list that an object of a class of its own is; others as they are."""
    return content.items if isinstance(content, Made) else content


def _entries(content: object) -> Iterator[tuple[str, Any]]:
    held = held_in(content)
    if isinstance(held, dict):
        yield from ((key, value) for key, value in held.items() if isinstance(key, str))
    elif isinstance(held, list | tuple | nn.ModuleList):
        yield from ((str(place), v) for place, v in enumerate(held) if isinstance(v, _HOLDERS))
