"""What the review page needs before a person begins: folders that it can write."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import StorageError
from edge.files.nearest import nearest_existing
from edge.results.settings.slide_config import VERIFICATIONS, SlideConfig


def require_usable(slides: SlideConfig, state: Path) -> None:
    """Refuse what would stop the signature only after every cell was decided.

    Args:
        state: folder of the record and of what was issued.

    Raises:
        StorageError: signatures could not be written.
    """
    _require_writable(state, "the record of reviews")
    _require_writable(slides.verifications or state / VERIFICATIONS, "verifications")


def _require_writable(folder: Path, what: str) -> None:
    # Folders that are not there yet are made.
    found = nearest_existing(folder)
    if os.access(found, os.W_OK | os.X_OK, effective_ids=True):
        return
    raise StorageError(
        f"{folder} cannot be written by this user, and {what} must be written there. Start "
        "the page as its owner, or change the owner (docs/review.md, Beside the service)."
    )
