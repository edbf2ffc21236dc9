"""Values of options: what an option cannot be is wrong usage, said in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

# Larger numbers have no meaning here, and do not fit into what Python and SQLite count with.
MOST: Final = 1_000_000_000


def given_path(text: str) -> Path:
    """A path. An empty one, such as that of a shell's unset variable, is not the current folder.

    Raises:
        ArgumentTypeError: it is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty; give one, or . for this folder")
    return Path(text)


def whole_number(low: int, high: int = MOST) -> Callable[[str], int]:
    """Reads a whole number from `low` to `high`; raises ArgumentTypeError for anything else."""

    def read(text: str) -> int:
        is_short = text.isdecimal() and len(text.lstrip("0")) <= len(str(high))
        if not is_short or not low <= int(text.lstrip("0") or "0") <= high:
            shown = text if len(text) <= 40 else f"{text[:40]}..."
            raise argparse.ArgumentTypeError(f"{shown!r} is no whole number from {low} to {high}")
        return int(text)

    return read


def one_line(text: str) -> str:
    """A text that people read in one line, without blanks around it.

    Raises:
        ArgumentTypeError: it is blank, or has a character that is not printable.
    """
    found = text.strip()
    if not found:
        raise argparse.ArgumentTypeError("it is empty; give some words")
    if not found.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} has a line break or another character that is not printable"
        )
    return found
