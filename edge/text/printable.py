"""Makes untrusted text, such as a file's name, safe for a terminal and a log."""

from __future__ import annotations

import os
from pathlib import Path


def printable(text: str) -> str:
    r"""One line of text in which characters that are not printable are escaped, such as `\x1b`.

    Control characters could move a terminal's cursor or hide text. Bytes of a file name that are
    not UTF-8, which Python represents as lone surrogates (PEP 383), are escaped too.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def printable_lines(text: str) -> str:
    """Text of several lines, each made `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def printable_name(path: Path) -> str:
    r"""The file's name as text; bytes that are not UTF-8 become \xNN."""
    return printable_path(os.fsencode(path.name))


def printable_path(path: bytes) -> str:
    r"""A name or path as text; bytes that are not UTF-8 become \xNN."""
    return path.decode("utf-8", "backslashreplace")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
