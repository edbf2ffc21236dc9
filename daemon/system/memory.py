"""Memory that a reload has freed goes back to the system."""

from __future__ import annotations

import ctypes
from typing import Final

# malloc.h of glibc.
_M_ARENA_MAX: Final = -8


def use_one_arena() -> None:
    """Have all threads allocate in the one arena that can be given back as a whole.

    By default glibc gives threads arenas of their own, eight for each core, and never returns the
    free end of one: a check in a thread of its own left up to 20 MB behind at every reload. Locks
    are no issue: images are decoded into few large blocks (measured: as many images per second).
    To be called before threads are started. Other C libraries have no such arenas.
    """
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, 1)


def trim_heap() -> None:
    """Return the pages that nothing uses any more. Takes some milliseconds."""
    if (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(0)
