"""Finds sidecars that are new or replaced, by looking again and again.

It does not ask the kernel for events: a share's server sends none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from edge.files.open_folder import OpenFolder
from edge.results.reading.cell_file import SUFFIX, read_cell
from edge.results.reading.problem import ForeignError, OnProblem, Problem, SidecarError
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.tree import Listing, Tally, list_folder, open_root, unreadable_folder

# A folder that changed so recently may change again without a new time: FAT counts in 2 s, and
# the clock of a server may differ.
_SETTLED_AFTER_S: Final = 10.0
# Modification time in ns and inode: a replaced file has others.
_Version: TypeAlias = tuple[int, int]


@dataclass(slots=True)
class _Folder:
    """What is remembered of a folder; `mtime_ns` is -1 until it has settled."""

    mtime_ns: int = -1
    folders: tuple[str, ...] = ()
    versions: dict[str, _Version] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class _Change:
    version: _Version
    parts: tuple[str, ...]
    name: str


class Follower:
    """Looks through a folder and gives what has come since the last look.

    Args:
        path: the folder.
        on_problem: called once for each new file that is no usable sidecar.
        clock: the wall clock in seconds.
    """

    def __init__(
        self, path: Path, on_problem: OnProblem, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path, self._on_problem, self._clock = path, on_problem, clock
        self._folders: dict[tuple[str, ...], _Folder] = {}
        self._refused: set[tuple[str, ...]] = set()

    def newest(self, count: int) -> list[SidecarCell]:
        """The first look: the `count` sidecars that were written last, oldest first.

        Raises:
            StorageError: the folder cannot be read.
        """
        found = self._changes()
        return self._read(found[len(found) - min(count, len(found)) :])

    def new(self) -> list[SidecarCell]:
        """The sidecars that are new or replaced since the last look, oldest first.

        Raises:
            StorageError: the folder cannot be read.
        """
        return self._read(self._changes())

    def _changes(self) -> list[_Change]:
        found: list[_Change] = []
        with open_root(self._path) as top:
            remaining: list[tuple[str, ...]] = [()]
            while remaining:
                parts = remaining.pop()
                try:
                    with top.below(parts, make=False) as opened:
                        folder = self._look(opened, parts, found)
                except OSError as error:
                    self._refuse(parts, error)
                    continue
                remaining += [(*parts, name) for name in folder.folders]
        return sorted(found)

    def _look(self, opened: OpenFolder, parts: tuple[str, ...], found: list[_Change]) -> _Folder:
        status = os.fstat(opened.descriptor)
        folder = self._folders.setdefault(parts, _Folder())
        if folder.mtime_ns == status.st_mtime_ns:
            return folder
        listed = list_folder(opened, Tally())
        before, folder.versions = folder.versions, {}
        folder.folders = tuple(listed.folders)
        for name in listed.files:
            # A file that is deleted meanwhile is none to tell of.
            with suppress(FileNotFoundError):
                if name.endswith(SUFFIX):
                    file = os.stat(name, dir_fd=opened.descriptor, follow_symlinks=False)
                    version = folder.versions[name] = (file.st_mtime_ns, file.st_ino)
                    if before.get(name) != version:
                        found.append(_Change(version, parts, name))
        is_settled = status.st_mtime < self._clock() - _SETTLED_AFTER_S
        folder.mtime_ns = status.st_mtime_ns if is_settled else -1
        self._refused.discard(parts)
        return folder

    def _read(self, changes: list[_Change]) -> list[SidecarCell]:
        with open_root(self._path) as top:
            cells = [self._read_one(top, change) for change in changes]
        return [cell for cell in cells if cell]

    def _read_one(self, top: OpenFolder, change: _Change) -> SidecarCell | None:
        try:
            with top.below(change.parts, make=False) as opened:
                return read_cell(Listing(opened, change.parts, ()), change.name)[0]
        except SidecarError as error:
            path = self._path.joinpath(*change.parts, change.name)
            self._on_problem(Problem(path, error.code, str(error)))
        except (ForeignError, OSError):
            # Of another program, or its folder went away just now.
            pass
        return None

    def _refuse(self, parts: tuple[str, ...], error: OSError) -> None:
        if parts not in self._refused and not isinstance(error, FileNotFoundError):
            self._refused.add(parts)
            self._on_problem(unreadable_folder(self._path.joinpath(*parts), error))
