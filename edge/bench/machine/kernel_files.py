"""Reads the small files in which the kernel tells facts; any of them may be missing or hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KernelFiles:
    """The two trees; a hardened unit hides most of /proc (`ProcSubset=pid`), containers both."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")


def text_of(path: Path) -> str | None:
    """The content without outer white space; None if it cannot be read or is empty."""
    try:
        return path.read_text("utf-8", errors="replace").strip() or None
    except OSError:
        return None


def number_of(path: Path) -> int | None:
    """The content as a whole number; None if it is none."""
    return whole(text_of(path))


def whole(text: str | None) -> int | None:
    """A whole number; None if the text is none, such as `max` for no limit."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def folders(place: Path, pattern: str) -> Iterator[Path]:
    """Folders of this name in a place, sorted; none where the place is missing or hidden."""
    try:
        yield from sorted(place.glob(pattern))
    except OSError:
        return


def pairs(text: str | None, separator: str | None) -> dict[str, str]:
    """Lines `key separator value`; the first of a key counts."""
    found: dict[str, str] = {}
    for line in (text or "").splitlines():
        parts = line.split(separator, maxsplit=1)
        if len(parts) == 2:
            found.setdefault(parts[0].strip(), parts[1].strip())
    return found
