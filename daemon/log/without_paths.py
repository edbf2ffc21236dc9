"""Errors without the names of images: a path holds a sample id, which is patient data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.system.locks import InUseError
from edge.errors import StorageError


@contextmanager
def without_paths() -> Iterator[None]:
    """While sidecars are written: a `StorageError` leaves the block with its reason alone."""
    try:
        yield
    except InUseError:
        # It names a folder of the configuration, and the process that holds it.
        raise
    except StorageError as error:
        cause = error.__cause__
        reason = (cause.strerror if isinstance(cause, OSError) else None) or type(cause).__name__
        raise StorageError(
            f"sidecars cannot be written ({reason}). Look at the space and the permissions where "
            "the results go, then start again; images without a result are labelled then."
        ) from cause
