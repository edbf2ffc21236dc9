"""The sidecars of a tree, of which only new and changed ones are read at each look."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from edge.files.open_folder import OpenFolder
from edge.files.safe_open import NotRegularError
from edge.results.reading.cell_file import SUFFIX, read_cell
from edge.results.reading.problem import ForeignError, OnProblem, Problem, SidecarError
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.tree import (
    Listing,
    Tally,
    list_folder,
    open_root,
    require_folder,
    unreadable_folder,
)

# A folder's time has steps of up to 2 s on some file systems (FAT; SMB servers on it): a file that
# came within the same step would not change it.
SETTLED_S: Final = 3.0
_Parts: TypeAlias = tuple[str, ...]
# Time, size and inode: a sidecar is replaced by a new file.
_Stamp: TypeAlias = tuple[int, int, int]


@dataclass(slots=True)
class _Known:
    """A folder as it was listed last.

    Attributes:
        modified_ns: of the folder.
        since_s: when that time was seen first, by the monotonic clock.
        listed_s: when it was listed last.
        cells: by file name; None for what is no usable sidecar.
    """

    modified_ns: int
    since_s: float
    listed_s: float
    folders: tuple[str, ...] = ()
    stamps: dict[str, _Stamp] = field(default_factory=dict)
    cells: dict[str, SidecarCell | None] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)

    @property
    def is_settled(self) -> bool:
        """Whether its time shows all changes."""
        return self.listed_s - self.since_s >= SETTLED_S


class KnownSidecars:
    """Sidecars are never changed in place: a new or replaced one changes its folder's time.

    So a look opens each folder and lists only those whose time has changed.
    """

    def __init__(
        self,
        root: Path,
        on_problem: OnProblem,
        *,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is known yet.

        Args:
            root: of the tree.
            on_problem: takes what is no usable sidecar.
            beat: called before each file is read, as a slow share may take hours for all of them.
            clock: in seconds.
        """
        self._root = root
        self._beat = beat
        self._on_problem = on_problem
        self._clock = clock
        self._known: dict[_Parts, _Known] = {}
        self._closed: set[_Parts] = set()

    def look(self, *, whole: bool = False) -> bool:
        """Read what is new; returns whether anything has changed.

        Args:
            whole: list every folder, for shares whose folders keep their time.

        Raises:
            ConfigError: the root is no folder.
            StorageError: it cannot be read. What was known stays known.
        """
        require_folder(self._root)
        seen: set[_Parts] = set()
        before, self._closed = self._closed, set()
        has_changed = False
        remaining: list[_Parts] = [()]
        with open_root(self._root) as top:
            while remaining:
                parts = remaining.pop()
                try:
                    with top.below(parts, make=False) as opened:
                        has_changed |= self._look_at(opened, parts, whole=whole)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if parts not in self._known:
                        if parts not in before:
                            self._on_problem(unreadable_folder(self._root.joinpath(*parts), error))
                        self._closed.add(parts)
                        continue
                seen.add(parts)
                below = self._known[parts].folders
                remaining += [(*parts, name) for name in reversed(below)]
        gone = set(self._known) - seen
        for parts in gone:
            del self._known[parts]
        return has_changed or bool(gone) or before != self._closed

    def cells(self) -> Iterator[SidecarCell]:
        """All usable sidecars, by folder, then by name."""
        for parts in sorted(self._known):
            for _, cell in sorted(self._known[parts].cells.items()):
                if cell is not None:
                    yield cell

    def unread(self) -> list[Path]:
        """Sidecars and folders that could not be read."""
        return [self._root.joinpath(*parts) for parts in self._closed] + [
            self._root.joinpath(*parts, name)
            for parts, known in self._known.items()
            for name in known.unread
        ]

    def _look_at(self, opened: OpenFolder, parts: _Parts, *, whole: bool) -> bool:
        """List a folder if it may have changed; returns whether it has."""
        modified_ns = os.fstat(opened.descriptor).st_mtime_ns
        known = self._known.get(parts)
        is_same = known is not None and known.modified_ns == modified_ns
        if known is not None and is_same and known.is_settled and not whole:
            return False
        now_s = self._clock()
        since_s = known.since_s if known is not None and is_same else now_s
        found = list_folder(opened, Tally())
        new = _Known(modified_ns, since_s, now_s, tuple(found.folders))
        listing = Listing(opened, parts, tuple(found.files))
        for name in found.files:
            if name.endswith(SUFFIX):
                self._take(listing, name, known, new)
        self._known[parts] = new
        # A manifest or marker may be new, too.
        return not is_same or known is None or known.stamps != new.stamps

    def _take(self, listing: Listing, name: str, known: _Known | None, new: _Known) -> None:
        try:
            status = os.stat(name, dir_fd=listing.opened.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if known is not None and known.stamps.get(name) == stamp:
            new.cells[name] = known.cells[name]
            if name in known.unread:
                new.unread.add(name)
        else:
            self._beat()
            try:
                new.cells[name], _ = read_cell(listing, name)
            except SidecarError as error:
                self._on_problem(Problem(listing.opened.path / name, error.code, str(error)))
                new.cells[name] = None
                new.unread.add(name)
            except ForeignError:
                new.cells[name] = None
            except (FileNotFoundError, NotRegularError):
                return
        new.stamps[name] = stamp
