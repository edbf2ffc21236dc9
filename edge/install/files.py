"""The contents of files that every installation writes, made from those in systemd/."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.command.completion import completion
from edge.command.man_page import man_page
from edge.install.unit_text import quoted
from edge.system.mounts import is_on_share, mount_point

PREFIX: Final = Path("/opt/microscope-edge")
SYSUSERS: Final = Path("/etc/sysusers.d/edge-daemon.conf")
SYSTEM: Final = Path("/etc/systemd/system")
# In a checkout a link to systemd/, in a wheel a folder.
_SHIPPED: Final = Path(__file__).parents[1] / "units"
_LOCAL: Final = Path("/usr/local/share")
_COMMANDS: Final = Path("/usr/local/bin")


def shipped(name: str) -> str:
    """The content of a file of systemd/."""
    return (_SHIPPED / name).read_text("utf-8")


def mark(program: str) -> str:
    """The beginning of the first line of files that `PROGRAM install` makes."""
    return f"# Written by `{program} install`"


def drop_in(program: str, config: Path, name: str, lines: Iterable[str]) -> str:
    """The text of a drop-in that was made from a configuration."""
    head = f"{mark(program)} for {config}; drop-ins/{name} of microscope-edge has reasons."
    return "\n".join([head, "[Service]", *lines]) + "\n"


def write_lines(folders: Iterable[Path], *, is_image: bool) -> list[str]:
    """The settings that let a unit write to folders, or to the shares on which these are.

    systemd binds the folder into the service. After the share is mounted again, a folder below the
    mount point would still be the old one.
    """
    paths = (
        mount_point(folder) if not is_image and is_on_share(folder) else str(folder)
        for folder in folders
    )
    # With the dash the service also starts if the folder is missing.
    return [f"ReadWritePaths={quoted(f'-{path}')}" for path in dict.fromkeys(paths)]


def lines_without_comments(text: str | None) -> list[str]:
    """The lines that systemd reads: a copy of an earlier version's file has other comments."""
    return [line for line in (text or "").splitlines() if line and not line.startswith("#")]


def man_and_completions(parser: argparse.ArgumentParser) -> dict[Path, str]:
    """The manual page and completions, by the paths where `man` and the shells look for them."""
    return {
        _LOCAL / f"man/man1/{parser.prog}.1": man_page(parser),
        _LOCAL / f"bash-completion/completions/{parser.prog}": completion(parser, "bash"),
        _LOCAL / f"zsh/site-functions/_{parser.prog}": completion(parser, "zsh"),
    }


def command_path(program: str) -> Path:
    """Where a program is found without its path, as messages, manual and completion write it."""
    return _COMMANDS / program


def command_text(program: Path) -> str:
    """A script that starts the program."""
    return f'#!/bin/sh\n{mark(program.name)}.\nexec {program} "$@"\n'


def with_value(text: str, key: str, path: Path | str | None) -> str:
    """A configuration in which each line that begins with `key` has this value; None: no change."""
    if path is None:
        return text
    # A JSON string is a YAML string too. Without ASCII escapes, as JSON writes characters beyond 16
    # bits as two, which YAML reads as two characters.
    plain = re.fullmatch(r"[\w/.-]+", str(path))
    value = str(path) if plain else json.dumps(str(path), ensure_ascii=False)
    lines = [f"{key}{value}" if line.startswith(key) else line for line in text.splitlines()]
    return "\n".join(lines) + "\n"
