"""Removes images' paths from errors, as a path may hold a sample id, which is patient data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.system.locks import InUseError
from edge.errors import StorageError


@contextmanager
def without_paths() -> Iterator[None]:
    """Around the writing of sidecars: replace a `StorageError` by one without a path."""
    try:
        yield
    except InUseError:
        # Names only a configured folder and the process that holds it.
        raise
    except StorageError as error:
        cause = error.__cause__
        reason = (cause.strerror if isinstance(cause, OSError) else None) or type(cause).__name__
        raise StorageError(
            f"sidecars cannot be written ({reason}). Check space and permissions of the folder for "
            "results, then start again; images without a result are labelled then."
        ) from cause
