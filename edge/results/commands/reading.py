"""Reads the sidecars of a command's PATH: progress and problems go to standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from edge.command.progress import Progress
from edge.command.values import given_path
from edge.errors import ConfigError, StorageError
from edge.results.reading.problem import Problem
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.sidecars import read_sidecars
from edge.results.reading.tree import Tally, require_folder
from edge.text.counted import counted
from edge.text.printable import printable

# Counts of progress are updated after so many files.
_EVERY = 100


def add_path(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The argument PATH; None if it is optional and not given."""
    text = "the folder with the sidecars: a results folder, or the images' folder"
    count = "?" if optional else None
    parser.add_argument("path", type=given_path, nargs=count, metavar="PATH", help=text)


def is_there(path: Path) -> bool:
    """Whether a file of a state folder is there.

    Raises:
        StorageError: this user may not look into the folder.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(
            f"{path.parent} cannot be looked into ({error.strerror}). Run the command as the user "
            "who owns it: beside the service `runuser -u edge -- edge-results ...`."
        ) from error
    return True


def cells_in(path: Path, unread: list[Path] | None = None) -> Iterator[SidecarCell]:
    """Every cell below a folder.

    Args:
        unread: gets the sidecars that cannot be read.

    Raises:
        ConfigError: no such folder, or no sidecar in it.
        StorageError: the folder cannot be read.
    """
    require_folder(path)
    return _cells_in(path, unread if unread is not None else [])


def tell(problem: Problem) -> None:
    """Write a problem as a line to standard error."""
    sys.stderr.write(f"held: {problem.line}\n")
    sys.stderr.flush()


def require_found(path: Path, tally: Tally) -> None:
    """Refuse a folder without a usable sidecar.

    Raises:
        ConfigError: says what is there instead.
    """
    if tally.cells:
        return
    others = tally.foreign + tally.others
    there = [counted(others, "other file")] if others else []
    there += [counted(tally.problems, "file") + " held"] if tally.problems else []
    found = f" ({', '.join(there)})" if there else ""
    raise ConfigError(
        f"{printable(str(path))} has no JSON sidecars{found}; give the watch folder or the results "
        "folder of the service, with json in results.formats."
    )


def _cells_in(path: Path, unread: list[Path]) -> Iterator[SidecarCell]:
    tally = Tally()

    def note(problem: Problem) -> None:
        unread.append(problem.path)
        tell(problem)

    with Progress("sidecars read", sys.stderr) as progress:
        for number, cell in enumerate(read_sidecars(path, note, tally=tally)):
            if number % _EVERY == 0:
                progress.update(number)
            yield cell
        progress.update(tally.cells)
    require_found(path, tally)
