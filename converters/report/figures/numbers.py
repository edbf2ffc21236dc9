"""Numbers as the report writes them, each with its unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

NOT_KNOWN: Final = "not known"


@dataclass(frozen=True, slots=True)
class Noted:
    """A value as text, and the small line below it."""

    text: str
    note: str = ""


def percent(rate: float, digits: int = 1) -> str:
    """`99.5%` of 0.995."""
    return _signed(f"{100 * rate:.{digits}f}") + "%"


def points(value: float, digits: int = 2) -> str:
    """Percentage points, without a unit."""
    return _signed(f"{value:.{digits}f}")


def number(value: float, digits: int = 3) -> str:
    """A value of any size with so many significant digits."""
    if 1e-6 <= abs(value) < 1e-4:
        # The evidence has six decimals; "0.00004" is easier to compare than "4e-05".
        return _signed(f"{value:.6f}".rstrip("0"))
    return _signed(f"{value:.{digits}g}")


def count(value: int) -> str:
    """`1,234`."""
    return f"{value:,}"


def share(fields: dict[str, Any] | None) -> str:
    """`99.5% (438 of 440)` of a `Share.to_dict`."""
    if not fields or not fields["total"]:
        return NOT_KNOWN
    counts = f"{count(fields['count'])} of {count(fields['total'])}"
    return f"{percent(fields['rate'])} ({counts})"


def share_interval(fields: dict[str, Any]) -> str:
    """`98.4% to 99.9%` of a `Share.to_dict`."""
    return interval(percent(fields["low"]), percent(fields["high"]))


def interval(low: str, high: str) -> str:
    """`0.5 to 1.25` of two values as text, in one line: the spaces do not break."""
    return f"{low}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high}"


def size(bytes_: int) -> str:
    """Decimal megabytes, as discs and downloads count them."""
    return f"{bytes_ / 1e6:.1f} MB"


def _signed(text: str) -> str:
    # "-0.00" is zero to a reader.
    if not text.strip("-0.%"):
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")
