"""Completion of a command's options for bash and zsh, made of its parser by shtab.

The scripts stand alone: pressing the tab key starts no Python. shtab is imported where a script is
made, which no start of the service waits for.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Final

from edge.command_line import actions, parsers

SHELLS: Final = ("bash", "zsh")
# In place of shtab.FILE and shtab.DIRECTORY: their bash does not quote the typed word, and
# replaces "lab\ data/ex" by "lab\ data/". shtab lets bash quote what a function of such a name
# offers.
_FILES: Final = {
    "bash": "_edge_files",
    "zsh": "_files",
    "preamble": {"bash": '_edge_files() { compgen -f -- "$1"; }\n'},
}
_FOLDERS: Final = {
    "bash": "_edge_dirs",
    "zsh": "_files -/",
    "preamble": {"bash": '_edge_dirs() { compgen -d -- "$1"; }\n'},
}


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one of `SHELLS`."""
    import shtab

    marked = copy.deepcopy(parser)
    for command in parsers(marked):
        for action in actions(command):
            _mark(action, shell)
    return shtab.complete(marked, shell)


def _mark(action: argparse.Action, shell: str) -> None:
    """Say what completes a value, in the attribute that shtab reads."""
    if action.metavar == "DIR":
        vars(action)["complete"] = _FOLDERS
    elif action.type is Path:
        vars(action)["complete"] = _FILES
    # shtab leaves the colons, which part the fields of a zsh specification.
    if shell == "zsh" and isinstance(action.metavar, str):
        action.metavar = action.metavar.replace(":", r"\:")
