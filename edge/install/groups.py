"""The groups of this system or of a disk image."""

from __future__ import annotations

import grp
import re
from pathlib import Path


def group_number(root: Path, group: str) -> str | None:
    """The number of a group of the system with this root folder; None if there is none."""
    try:
        if root == Path("/"):
            return str(grp.getgrnam(group).gr_gid)
        lines = (root / "etc/group").read_text().splitlines()
    except (KeyError, OSError):
        return None
    fields = [line.split(":") for line in lines]
    return next((field[2] for field in fields if field[0] == group and len(field) > 2), None)


def group_word(root: Path, share: str | None) -> str | None:
    """A group for the unit: its number if systemd cannot take the name, as `domain users`."""
    if share is None or re.fullmatch("[A-Za-z_][A-Za-z0-9_-]*", share):
        return share
    return group_number(root, share)
