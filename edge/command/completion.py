"""Completion of a command's options for bash and zsh, made of its parser by shtab.

The scripts stand alone: pressing the tab key starts no Python. shtab is imported where a script is
made, which no start of the service waits for.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Final

from edge.command.parsers import actions, parsers

SHELLS: Final = ("bash", "zsh")
# For bash, in place of shtab.FILE and shtab.DIRECTORY. Those do not quote the typed word, and
# replace "lab\ data/ex" by "lab\ data/"; and after an option that takes several files they offer
# files for "--deb". `current_option_strings` is shtab's. The functions' names matter: shtab has
# bash quote what a function with "_file" or "_dir" in its name offers.
_BASH: Final = """\
_edge_paths() {
  local word=${COMP_WORDS[COMP_CWORD]}
  case $word in
    -*) compgen -W "${current_option_strings[*]}" -- "$word" ;;
    *) compgen "$1" -- "$word" ;;
  esac
}
_edge_files() { _edge_paths -f; }
_edge_dirs() { _edge_paths -d; }
"""
_FILES: Final = {"bash": "_edge_files", "zsh": "_files", "preamble": {"bash": _BASH}}
_FOLDERS: Final = {"bash": "_edge_dirs", "zsh": "_files -/", "preamble": {"bash": _BASH}}


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
