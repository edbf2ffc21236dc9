"""Reads messages by the rules of the standard, without the product's code."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\(?:([FSTRE])|X((?:[0-9A-F]{2})+))\\")
_DELIMITERS = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it stands in the message; its fields are numbered as in the standard."""

    name: str
    fields: tuple[str, ...]

    def __getitem__(self, number: int) -> str:
        # The first field of an MSH is the delimiter itself.
        index = number - 2 if self.name == "MSH" else number - 1
        return self.fields[index] if index < len(self.fields) else ""

    def part(self, number: int, component: int) -> str:
        """A component, as it stands there."""
        parts = self[number].split("^")
        return parts[component - 1] if component <= len(parts) else ""


def read(message: bytes) -> list[Segment]:
    """The segments of a message."""
    return [_segment(line) for line in message.decode().removesuffix("\r").split("\r")]


def unescaped(value: str) -> str:
    r"""Text as it was before it was escaped: `a\F\b` becomes `a|b`."""
    return _ESCAPE.sub(_original, value)


def has_broken_escape(value: str) -> bool:
    """Whether a backslash is not part of an escape sequence."""
    return "\\" in _ESCAPE.sub("", value)


def _segment(line: str) -> Segment:
    name, *fields = line.split("|")
    return Segment(name, tuple(fields))


def _original(match: re.Match[str]) -> str:
    letter, digits = match.groups()
    return _DELIMITERS[letter] if letter else bytes.fromhex(digits).decode()
