"""Checks of the options that the installations of all services have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edge.install.groups import group_number
from edge.install.program import hidden_above


def path_problem(option: str, path: Path, root: Path) -> str | None:
    """Why a folder cannot be that of `--option`, in one line; `root` is the system's."""
    if not path.is_absolute() or ".." in path.parts or not str(path).isprintable():
        return f"--{option} {str(path)!r}: give an absolute, printable path without .. in it."
    if hidden := hidden_above(path, follows_links=root == Path("/")):
        return (
            f"--{option} {path}: the unit cannot see this folder, which is below {hidden}; "
            "choose one elsewhere."
        )
    if option == "prefix" and not re.fullmatch(r"[\w/.-]+", str(path)):
        return f"--prefix {path}: give a path of letters, digits and / . - _ alone."
    return None


def group_problems(root: Path, share: str | None) -> Iterator[str]:
    """What is wrong with the group of `--share`."""
    if share is not None and group_number(root, share) is None:
        yield f"--share {share}: there is no such group. Make it: groupadd --system {share}"


def lost_group(root: Path, share: str | None, drop_ins: Path) -> Iterator[str]:
    """That the group of an earlier installation is gone."""
    if share and not share.isdigit() and group_number(root, share) is None:
        yield (
            f"the group {share} of {drop_ins}/share.conf does not exist any more. Make "
            f"it: groupadd --system {share}, or name another with --share."
        )
