"""Checks the type and range of values read from the journal, as disks lose bits.

Every function returns the value, or raises DamagedError.
"""

from __future__ import annotations

import math
from typing import Any, Final

_INT64_MAX: Final = 2**63 - 1
# The end of the year 9998: Python's dates end with 9999, and time zones add up to a day.
LAST_MOMENT_S: Final = 253_370_764_800


class DamagedError(Exception):
    """A row holds a value that no daemon wrote. The message never quotes the value."""


def integer(value: Any, low: int = 0, high: int = _INT64_MAX) -> int:
    """A whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise DamagedError(f"a number is {_kind(value)}")
    return value


def any_integer(value: Any) -> int:
    """A whole number of either sign, such as a file's time."""
    return integer(value, -_INT64_MAX - 1)


def real(value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number from `low` to `high`."""
    is_number = type(value) in (int, float) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        raise DamagedError(f"a time is {_kind(value)}")
    return float(value)


def optional_real(value: Any) -> float | None:
    """A finite number or NULL."""
    return None if value is None else real(value)


def moment(value: Any) -> float:
    """Seconds since 1970, until the year 9998."""
    if not 0 <= real(value) <= LAST_MOMENT_S:
        raise DamagedError(f"a time is {_kind(value)}")
    return float(value)


def optional_moment(value: Any) -> float | None:
    """As `moment`, or NULL."""
    return None if value is None else moment(value)


def text(value: Any) -> str:
    """Text."""
    if type(value) is not str:
        raise DamagedError(f"a text is {_kind(value)}")
    return value


def utf8(value: Any) -> str:
    """Text that was read as bytes."""
    try:
        return str(value, "utf-8")
    except (UnicodeDecodeError, TypeError) as error:
        raise DamagedError(f"a text is {_kind(value)}") from error


def optional_text(value: Any) -> str | None:
    """Text or NULL."""
    return None if value is None else text(value)


def one_of(value: Any, known: frozenset[str]) -> str:
    """One of a few words."""
    if text(value) not in known:
        raise DamagedError("a word is unknown")
    return str(value)


def folder(value: Any) -> bytes:
    """An absolute path."""
    if type(value) is not bytes or not value.startswith(b"/") or b"\0" in value:
        raise DamagedError(f"a folder is {_kind(value)}")
    return value


def path(value: Any) -> bytes:
    """A path below a watch folder, without `.` or `..`."""
    if type(value) is not bytes or b"\0" in value:
        raise DamagedError(f"a path is {_kind(value)}")
    if not {b"", b".", b".."}.isdisjoint(value.split(b"/")):
        raise DamagedError("a path leads out of its watch folder")
    return value


def only(row: tuple[Any, ...] | None) -> Any:
    """The one value of a row that must be there."""
    if row is None:
        raise DamagedError("a row is missing")
    return row[0]


def require_one(rows: int) -> None:
    """Check that a statement has changed exactly one row."""
    if rows != 1:
        raise DamagedError("a row is not in the state that was stored")


def _kind(value: Any) -> str:
    return "NULL" if value is None else f"{type(value).__name__} or out of range"
