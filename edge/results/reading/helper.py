"""A second process that reads sidecars, as Python's threads parse JSON one at a time.

Started by its own command line and not by `multiprocessing`, which would run the main module of a
program that calls `read_sidecars` once more.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection, Pipe
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from edge.files.open_folder import open_folder
from edge.results.reading.cell_file import Item, read_items
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.tree import Listing
from edge.system.children import end_with_parent, with_this_parent

# One that is read, and one that is there already when it is done.
_MOST_GIVEN: Final = 2
_CODE: Final = (
    # Ctrl-C is for the parent, which then ends this process.
    "import json, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "sys.path[:] = json.loads(sys.argv[1]); "
    "from edge.results.reading.helper import serve; serve(int(sys.argv[2]))"
)
_values: Final = attrgetter(*(field.name for field in fields(SidecarCell)))


@dataclass(frozen=True, slots=True)
class Slice:
    """Some JSON files of a folder, whose parts are below the folder that is read."""

    parts: tuple[str, ...]
    names: tuple[str, ...]


class Helper:
    """The process, in a `with` block. If it ends, its slices are read here."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._given: deque[Slice] = deque()
        self._connection: Connection | None

    def __enter__(self) -> Self:
        ours, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-c", _CODE, json.dumps(sys.path), str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=with_this_parent(),
            )
        self._connection = ours
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._close()
        self._process.kill()
        self._process.wait()

    def takes(self, one: Slice) -> bool:
        """Give it a slice; False if it has enough to do."""
        if self._connection is None or len(self._given) >= _MOST_GIVEN:
            return False
        try:
            self._connection.send((str(self._root), one.parts, one.names))
        except OSError:
            self._close()
            return False
        self._given.append(one)
        return True

    def has_answer(self) -> bool:
        """Whether `answer` would not wait."""
        try:
            return self._connection is None or self._connection.poll()
        except OSError:
            self._close()
            return True

    def answer(self, one: Slice) -> list[Item]:
        """The items of the slice that was given first and not answered yet."""
        if self._connection is not None:
            try:
                items = self._connection.recv()
                self._given.popleft()
            except (EOFError, OSError):
                self._close()
            else:
                folder = self._root.joinpath(*one.parts)
                named = zip(items, one.names, strict=True)
                return [_cell(item, folder / name) for item, name in named]
        return _read(self._root, one.parts, one.names)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def serve(descriptor: int) -> None:
    """Read slices in the helper's process until there are no more."""
    end_with_parent()
    with suppress(EOFError, OSError), Connection(descriptor) as connection:
        while True:
            root, parts, names = connection.recv()
            connection.send([_portable(item) for item in _read(Path(root), parts, names)])


def _read(root: Path, parts: tuple[str, ...], names: tuple[str, ...]) -> list[Item]:
    try:
        with open_folder(root) as top, top.below(parts, make=False) as opened:
            return read_items(Listing(opened, parts, ()), names)
    except OSError:
        # The folder was there just now.
        return ["gone"] * len(names)


def _portable(item: Item) -> Any:
    """A cell as a tuple without the path, which is pickled in half of the time."""
    return _values(item)[1:] if isinstance(item, SidecarCell) else item


def _cell(item: Any, path: Path) -> Item:
    return SidecarCell(path, *item) if isinstance(item, tuple) else item
