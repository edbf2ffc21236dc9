"""Programs that write an image in a hundred parts, each in its own odd way."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

Write = Callable[[Path, bytes, Callable[[], None]], None]


def _cuts(content: bytes) -> list[tuple[int, int]]:
    edges = [len(content) * percent // 100 for percent in range(101)]
    return list(pairwise(edges))


def appends_and_closes(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    for first, last in _cuts(content):
        with path.open("ab") as file:
            file.write(content[first:last])
        pause()


def preallocates_with_zeros(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.write_bytes(bytes(len(content)))
    _fill(path, content, _cuts(content), pause)


def allocates(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, len(content))
    _fill(path, content, _cuts(content), pause)


def writes_backwards(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.touch()
    _fill(path, content, _cuts(content)[::-1], pause)


def writes_the_end_first(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.touch()
    first, *others, last = _cuts(content)
    _fill(path, content, [last, first, *others], pause)


def maps_memory(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.write_bytes(bytes(len(content)))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        for first, last in _cuts(content):
            view[first:last] = content[first:last]
            view.flush()
            pause()


def _fill(
    path: Path, content: bytes, cuts: list[tuple[int, int]], pause: Callable[[], None]
) -> None:
    for first, last in cuts:
        with path.open("r+b") as file:
            file.seek(first)
            file.write(content[first:last])
        pause()


WRITERS: tuple[Write, ...] = (
    *(appends_and_closes, preallocates_with_zeros, allocates),
    *(writes_backwards, writes_the_end_first, maps_memory),
)
