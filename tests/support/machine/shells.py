"""What a shell makes of a tab key, in a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

# The tab key puts in all that is offered; the command itself prints what it was given.
_SETUP = {
    "bash": "bind 'set enable-bracketed-paste off'; bind 'TAB: insert-completions'",
    "zsh": "unset zle_bracketed_paste; fpath=({folder} $fpath); autoload -Uz compinit; "
    "compinit -u -D; zle -C all complete-word _generic; bindkey '^I' all; "
    "zstyle ':completion:all:*' completer _all_matches _complete; "
    "zstyle ':completion:all:*' insert yes",
}
_PROGRAMS = {"bash": ["bash", "--norc", "--noprofile"], "zsh": ["zsh", "-f"]}


def words_after_tab(
    shell: str, script: str, lines: Sequence[str], folder: Path
) -> dict[str, list[str]]:
    """For each line that is typed, up to a tab key: the words that the command is given.

    Args:
        script: completion of the command that starts each line.
        folder: where the shell starts; the script is put there.

    Raises:
        AssertionError: a completion printed an error.
    """
    command = lines[0].split()[0]
    (folder / f"_{command}").write_text(script)
    load = f"; source {folder}/_{command}" if shell == "bash" else ""
    function = f"{command}() {{ printf '<%s>' \"$@\"; }}"
    with _terminal(_PROGRAMS[shell], folder) as terminal:
        # The quotation marks keep the prompt from being seen in the echo of this line.
        setup = f"{_SETUP[shell].format(folder=folder)}{load}; {function}; PS1='REA''DY> '\n"
        _type(terminal, setup)
        return {line: _words(_type(terminal, f"{line}\t\n")) for line in lines}


def _words(shown: str) -> list[str]:
    assert "not found" not in shown, shown
    return re.findall(r"<([^<>]*)>", shown)


def _type(terminal: int, keys: str) -> str:
    os.write(terminal, keys.encode())
    shown = b""
    while not shown.endswith(b"READY> "):
        shown += os.read(terminal, 65536)
    return shown.decode()


@contextlib.contextmanager
def _terminal(argv: list[str], folder: Path) -> Iterator[int]:
    """A shell's terminal, which ends with it."""
    controller, terminal = pty.openpty()
    env = os.environ | {"TERM": "dumb", "COLUMNS": "1000", "HOME": str(folder)}
    with subprocess.Popen(
        [*argv, "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=env,
        cwd=folder,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        try:
            yield controller
        finally:
            process.kill()
            os.close(controller)
