"""What TensorRT timed in earlier builds on this machine, so that the next one is faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge import atomic
from edge.errors import StorageError


def load_timing_cache(config: Any, path: Path | None) -> Any:
    """Give a build what earlier ones have timed; None where nothing is to be kept."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    cache = config.create_timing_cache(content) or config.create_timing_cache(b"")
    # False: what was timed on another GPU or by another version is not used.
    if not config.set_timing_cache(cache, False):  # noqa: FBT003 - the library's own signature
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)  # noqa: FBT003
    return cache


def save_timing_cache(cache: Any, path: Path) -> None:
    """Keep what a build has timed."""
    content = bytes(cache.serialize())
    try:
        atomic.make_folder(path.parent)
        atomic.write_file(path, content)
    except StorageError:
        # The next build takes longer; this one is done.
        return
