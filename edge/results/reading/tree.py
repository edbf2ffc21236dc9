"""Goes through a tree of folders in a fixed order and follows no links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigError, StorageError
from edge.files.open_folder import OpenFolder, open_folder
from edge.files.temporary import is_temporary
from edge.image_folders.names import is_system_name
from edge.results.reading.problem import OnProblem, Problem, ProblemCode
from edge.text.printable import printable_path


@dataclass(slots=True)
class Tally:
    """Counts of a tree's entries: each is a cell, a problem, or passed over.

    Attributes:
        cells: usable sidecars.
        problems: files and folders that a problem was reported of.
        foreign: JSON files of other programs.
        others: files of other kinds, such as images and CSV files.
        hidden: hidden, temporary and system files and folders; a folder counts as one.
        special: links, pipes, sockets and devices.
        gone: files that were deleted meanwhile.
    """

    cells: int = 0
    problems: int = 0
    foreign: int = 0
    others: int = 0
    hidden: int = 0
    special: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """One open folder: its path, its parts below the root, and its regular files in order."""

    opened: OpenFolder
    parts: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        r"""Relative to the root, with `/`, `.` for the root; bytes that are no UTF-8 as \xNN."""
        return printable_path(os.fsencode("/".join(self.parts))) or "."


@dataclass(slots=True)
class Found:
    """The names in a folder."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def require_folder(path: Path) -> None:
    """Refuse what is no folder.

    Raises:
        ConfigError: nothing is there, or a file is.
        StorageError: it cannot be looked at.
    """
    try:
        if path.is_dir():
            return
        is_there = os.path.lexists(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    what = "is no folder" if is_there else "does not exist"
    raise ConfigError(f"{path} {what}; give the watch folder or the results folder.")


def walk(root: Path, on_problem: OnProblem, tally: Tally) -> Iterator[Listing]:
    """Each folder, those above first, in the order of names. A listing is open until the next.

    Hidden and system names are left out, as the service leaves them out.

    Raises:
        StorageError: the root cannot be read.
    """
    remaining: list[tuple[str, ...]] = [()]
    with open_root(root) as top:
        while remaining:
            parts = remaining.pop()
            try:
                # From the top, so that few descriptors are open and no part may be a link.
                with top.below(parts, make=False) as opened:
                    found = list_folder(opened, tally)
                    remaining += [(*parts, name) for name in reversed(found.folders)]
                    yield Listing(opened, parts, tuple(found.files))
            except FileNotFoundError:
                tally.gone += 1
            except OSError as error:
                tally.problems += 1
                on_problem(unreadable_folder(root.joinpath(*parts), error))


def open_root(root: Path) -> OpenFolder:
    """Open the folder that is read; it may be a link.

    Raises:
        StorageError: it cannot be opened.
    """
    try:
        return open_folder(root)
    except OSError as error:
        raise _unreadable(root, error) from error


def unreadable_folder(path: Path, error: OSError) -> Problem:
    """The problem of a folder that cannot be read."""
    return Problem(path, ProblemCode.FOLDER, f"this folder cannot be read ({error.strerror})")


def list_folder(opened: OpenFolder, tally: Tally) -> Found:
    """The regular files and the folders in an open folder, sorted; others are counted.

    Raises:
        OSError: it cannot be listed.
    """
    found = Found()
    with os.scandir(opened.descriptor) as entries:
        for entry in entries:
            if is_left_out(entry.name):
                tally.hidden += 1
            elif entry.is_file(follow_symlinks=False):
                found.files.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                found.folders.append(entry.name)
            else:
                tally.special += 1
    found.files.sort()
    found.folders.sort()
    return found


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, temporary or of a system."""
    return name.startswith(".") or is_temporary(name) or is_system_name(name)


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be read ({error.strerror}). Check its permissions and its share."
    )
