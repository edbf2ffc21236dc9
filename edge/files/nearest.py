"""The folder in which a path that is not there yet would be made."""

from __future__ import annotations

import os
from pathlib import Path


def nearest_existing(path: Path) -> Path:
    """The path itself or the nearest one above it that exists; a dangling link exists."""
    found = path.absolute()
    while not os.path.lexists(found) and found != found.parent:
        found = found.parent
    return found
