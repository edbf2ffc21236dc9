"""Builds segments: delimiters, escaping and times of HL7 v2.5.1 (its chapter 2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

ENCODING_CHARACTERS: Final = "^~\\&"
DELIMITERS: Final = "|" + ENCODING_CHARACTERS
_ESCAPES: Final = {"|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\\": "\\E\\"}
# CR ends a segment, and 0B and 1C frame a message. The rest are the line breaks of Unicode, at
# which receivers split that read lines and not segments.
_CONTROLS: Final = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_ESCAPED: Final = re.compile(f"[{re.escape(DELIMITERS)}{_CONTROLS}]")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """A segment without its terminator.

    Args:
        name: three letters.
        fields: encoded fields by their number in the standard; others are empty. Those of an MSH
            begin at 3.
    """
    line = [name, *[""] * max(fields)]
    for number, field in fields.items():
        line[number] = field
    if name == "MSH":
        # Its first field is the delimiter itself.
        line[1:3] = [ENCODING_CHARACTERS]
    return "|".join(line)


def message(segments: list[str]) -> bytes:
    """Segments as UTF-8; each is ended by a carriage return, the last one too."""
    return "".join(f"{line}\r" for line in segments).encode()


def components(*values: str) -> str:
    """A field of components, without empty ones at its end."""
    return _joined(values, "^")


def subcomponents(*values: str) -> str:
    """A field whose first component has subcomponents."""
    return _joined(values, "&")


def text(value: str) -> str:
    r"""Text with delimiters and control characters escaped: `a|b` becomes `a\F\b`."""
    if value.isascii() and not _ESCAPED.search(value):
        return value
    # Bytes of a name that are not UTF-8 are surrogates, which cannot be encoded.
    encodable = value.encode("utf-8", "backslashreplace").decode()
    return _ESCAPED.sub(lambda m: _escape(m[0]), encodable)


def timestamp(moment: datetime) -> str:
    """A time with milliseconds and offset; without the offset a receiver would take its own."""
    offset = moment.utcoffset()
    if offset is None or offset.seconds % 60:
        moment = moment.astimezone(UTC)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond // 1000:03d}{moment:%z}"


def _joined(values: tuple[str, ...], delimiter: str) -> str:
    return delimiter.join(text(value) for value in values).rstrip(delimiter)


def _escape(character: str) -> str:
    return _ESCAPES.get(character) or f"\\X{character.encode().hex().upper()}\\"
