"""How many images the daemon labels at the same time, unless its configuration says so."""

from __future__ import annotations

import os
from typing import Final

# While one worker waits for a disk, the other infers.
_MOST: Final = 2


def default_workers() -> int:
    """Two, or one on a machine with one core."""
    return min(_MOST, len(os.sched_getaffinity(0)))
