"""Text of strangers, such as a file's name, as a terminal or a log may show it."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""One line of text with what is not printable as escapes.

    Control characters, which can move a terminal's cursor or hide what was written, appear as
    `\x1b` and the like, and so do bytes of a file name that are not UTF-8, which Python holds as
    lone surrogates (PEP 383).
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def printable_lines(text: str) -> str:
    """Text of several lines, each as `printable` gives it."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
