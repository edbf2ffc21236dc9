"""Aligns rows of text in columns, for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edge.text.printable import printable


def text_table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """One line for each row, columns two spaces apart; unprintable characters are escaped.

    Args:
        rows: of equal length, the first may be the heading.
        right: numbers of the columns that are aligned to the right.
    """
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if number in right else f"{cell:<{width}}"
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
