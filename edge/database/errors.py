"""What SQLite's errors mean."""

from __future__ import annotations

import sqlite3
from typing import Final

# Error codes that do not mean a damaged file: permission, lock, memory, disk, space.
# https://sqlite.org/rescode.html
_REFUSALS: Final = frozenset({3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 22, 23})


def is_bug(error: sqlite3.Error) -> bool:
    """Whether this program used SQLite wrongly."""
    return isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is damaged; otherwise the machine or another process is in the way."""
    # Errors without a code are Python's, on text that is not UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in _REFUSALS
