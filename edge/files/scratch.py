"""A folder for scratch files that is removed, whenever the user stops the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder, removed with the block.

    The first signal may come while it is being removed, which Python's own class ends halfway.
    `run_command` ignores those that follow.

    Args:
        prefix: of its name.
        parent: where it is made; None: in the system's folder for temporary files.
    """
    # Takes long to import, and --version needs none of it.
    import tempfile

    folder = tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
    try:
        yield Path(folder.name)
    finally:
        try:
            folder.cleanup()
        except KeyboardInterrupt:
            folder.cleanup()
            raise
