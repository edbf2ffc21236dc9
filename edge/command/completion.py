"""Generates shell completion for bash and zsh from a command's parser, with shtab.

The generated scripts do not call Python. shtab is imported only when a script is generated, so that
commands start without that delay.
"""

from __future__ import annotations

import argparse
import copy
from typing import Final

from edge.command.parsers import actions, parsers
from edge.command.values import given_path

SHELLS: Final = ("bash", "zsh")
# These bash functions replace shtab.FILE and shtab.DIRECTORY, which have two faults: they do not
# quote the typed word, so "lab\ data/ex" becomes "lab\ data/"; and after an option that takes
# several files they offer files for "--deb". `current_option_strings` is a variable of shtab. The
# functions' names matter: shtab makes bash quote the results of functions with "_file" or "_dir"
# in their names.
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
    """The completion script for one of `SHELLS`."""
    import shtab

    marked = copy.deepcopy(parser)
    for command in parsers(marked):
        for action in actions(command):
            _mark(action, shell)
    return shtab.complete(marked, shell)


def _mark(action: argparse.Action, shell: str) -> None:
    """Set the attribute from which shtab learns how to complete a value."""
    if action.metavar == "DIR":
        vars(action)["complete"] = _FOLDERS
    elif action.type is given_path:
        vars(action)["complete"] = _FILES
    # shtab does not escape colons, which separate the fields of a zsh specification.
    if shell == "zsh" and isinstance(action.metavar, str):
        action.metavar = action.metavar.replace(":", r"\:")
