"""Whether the unit can start the program: it must see all files from the command to Python."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# The unit's ProtectHome= and PrivateTmp= hide these.
HIDDEN: Final = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - never written
# The kernel's limit.
_MOST_LINKS: Final = 40
# pip begins a command like this if its Python's path is too long for a `#!` line.
_LONG_SHEBANG: Final = re.compile(rb"#!/bin/sh\n'''exec' \"?([^\"\n]+?)\"? \"\$0\"")


def hidden_above(path: Path, *, follows_links: bool = True) -> Path | None:
    """The hidden folder that contains a path or, if `follows_links`, the target of its links."""
    ways = {path}
    if follows_links:
        ways |= {step for part in (path, *path.parents) for step in _way(part)}
        ways.add(Path(os.path.realpath(path)))
    return next((hidden for hidden in HIDDEN for way in ways if way.is_relative_to(hidden)), None)


def hidden_program(program: Path) -> str | None:
    """Why the unit cannot start the program, if it, its Python or a link between is hidden."""
    for path in _started(program):
        if hidden := hidden_above(path):
            return (
                f"{program} is run by {os.path.realpath(path)}, and the unit sees nothing below "
                f"{hidden}. Make the virtual environment anew with a Python from elsewhere, such "
                f"as /usr/bin/python3 -m venv --clear {program.parent.parent}, and install the "
                "package into it again."
            )
    return None


def access_problems(program: Path) -> Iterator[str]:
    """Yield which files and folders of the program other users may not read or enter."""
    if not program.exists():
        yield f"{program} is not there. Install the program there, or give --prefix."
        return
    for path in _started(program):
        real = Path(os.path.realpath(path))
        for folder in reversed(real.parents):
            if not _opens(folder, stat.S_IXOTH):
                yield f"{folder} is closed to the user edge. Open it: chmod o+x {folder}"
        if not _opens(real, stat.S_IXOTH | stat.S_IROTH):
            yield f"{real} cannot be started by the user edge. Open it: chmod o+rx {real}"


def _started(program: Path) -> Iterator[Path]:
    """The program, and the interpreter that its first line names."""
    yield program
    try:
        with program.open("rb") as stream:
            head = stream.read(4096)
    except OSError:
        return
    if long := _LONG_SHEBANG.match(head):
        yield Path(os.fsdecode(long[1]))
    elif head.startswith(b"#!") and (words := head[2:].split(b"\n", 1)[0].split()):
        yield Path(os.fsdecode(words[0]))


def _way(path: Path) -> Iterator[Path]:
    """A path, and the target of each link that it leads through."""
    for _ in range(_MOST_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _opens(path: Path, bits: int) -> bool:
    try:
        return path.stat().st_mode & bits == bits
    except OSError:
        return False
