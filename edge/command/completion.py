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
    has_own = _drop_own_arguments(marked)
    script = shtab.complete(marked, shell)
    return _with_own_arguments(script, marked.prog, shell) if has_own else script


def _drop_own_arguments(parser: argparse.ArgumentParser) -> bool:
    """Of a parser with commands, drop what may stand in their place; returns whether it has some.

    shtab would count it as a word before the command.
    """
    own = [one for one in parser._get_positional_actions() if not _is_commands(one)]  # noqa: SLF001 - argparse has no public name for it
    if len(own) == len(parser._get_positional_actions()):  # noqa: SLF001
        return False
    for action in own:
        parser._actions.remove(action)  # noqa: SLF001
        for group in parser._action_groups:  # noqa: SLF001
            if action in group._group_actions:  # noqa: SLF001
                group._group_actions.remove(action)  # noqa: SLF001
    return bool(own)


def _is_commands(action: argparse.Action) -> bool:
    return isinstance(action, argparse._SubParsersAction)  # noqa: SLF001


def _with_own_arguments(script: str, prog: str, shell: str) -> str:
    """Offer files where a command may stand, and after one of them the options."""
    name = f"_shtab_{prog.replace('-', '_')}"
    if shell == "bash":
        # The variable is looked up when a word is completed.
        return f"{script}\n{name}_pos_0_COMPGEN=_edge_files\n"
    commands = f"  _describe '{prog} commands' _commands\n"
    script = script.replace(commands, f"{commands}  _files\n")
    # shtab adds two specifications to the options: of the command, and of what follows it.
    others = f"        *) _arguments -s ${{{name}_options[1,-3]}} ;;\n      esac\n  esac\n"
    return script.replace("      esac\n  esac\n", others)


def _mark(action: argparse.Action, shell: str) -> None:
    """Set the attribute from which shtab learns how to complete a value."""
    if action.metavar == "DIR":
        vars(action)["complete"] = _FOLDERS
    elif action.type is given_path:
        vars(action)["complete"] = _FILES
    # shtab does not escape colons, which separate the fields of a zsh specification.
    if shell == "zsh" and isinstance(action.metavar, str):
        action.metavar = action.metavar.replace(":", r"\:")
