"""Cells of a result, for tests that do not need images."""

from __future__ import annotations

from collections.abc import Mapping

from edge.results.document.result import ResultCell


def cells_of(
    counts: Mapping[str | None, int], *, reviewed_by: str | None = None
) -> list[ResultCell]:
    """So many sure cells of each label; None for unidentified ones."""
    return [
        ResultCell(
            image=f"S1/{label}-{number}.jpg",
            sha256=f"{number:064x}",
            suggested=label,
            confidence=0.99,
            label=label,
            reviewed_by=reviewed_by,
        )
        for label, count in counts.items()
        for number in range(count)
    ]
