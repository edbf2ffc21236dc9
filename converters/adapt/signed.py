"""Labelled cells from the review page: every cell that a person signed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

# The name of the folder, which evidence and report tell as the origin of the images.
FOLDER: Final = "signed cells"


def export_signed(config: Path, folder: Path) -> int:
    """Check the record of reviews and export the cells signed in it, a folder per class.

    Args:
        config: `results.yaml`, the configuration of `edge-results`.
        folder: where to; must not be there.

    Returns:
        The exit code of `edge-results audit`, which prints its findings and errors: 0 if all was
        as recorded and at least one cell was exported.
    """
    # Imported only here: a conversion needs nothing of the results.
    from edge.results.cli import main

    return main(["audit", "--config", str(config), "--export", str(folder), "--all"])
