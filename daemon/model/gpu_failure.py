"""The failure of a GPU: remembered in this process, and in a marker file for the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import StorageError
from edge.files import atomic

log = logging.getLogger(__name__)


@dataclass(slots=True)
class GpuFailure:
    """When the GPU failed. Kept by the process, so that its next service knows it as well.

    Attributes:
        since_s: monotonic time of the failure; None: the GPU has not failed.
        tried_s: monotonic time at which it failed or was tried last.
    """

    since_s: float | None = None
    tried_s: float = 0.0

    def note(self, now_s: float) -> None:
        """Record a failure at this monotonic time."""
        self.since_s = self.tried_s = now_s


# Exists while a GPU is opened, and after an inference on it hung. A start that finds it uses the
# CPU for ten minutes.
GPU_MARKER: Final = "gpu.failed"


def write_gpu_marker(state_dir: Path, reason: str) -> None:
    """Write the marker that makes the next start use the CPU."""
    try:
        atomic.write_file(state_dir / GPU_MARKER, f"{reason}\n".encode())
    except StorageError as error:
        # Without it the next start tries the GPU, may hang again, and comes here again.
        log.warning("the next start will try the GPU again: %s", error)


@contextmanager
def gpu_marker_while_opening(state_dir: Path) -> Iterator[Callable[[], None]]:
    """Keep the marker during the block, from the call of the function that is yielded.

    Call that function before a GPU is opened. No supervisor runs yet: if opening hangs, systemd
    kills the process, and without the marker the next start would hang as well.
    """
    is_noted = False

    def note() -> None:
        nonlocal is_noted
        if not is_noted:
            is_noted = True
            write_gpu_marker(state_dir, "the process ended while the GPU was being opened")

    try:
        yield note
    finally:
        if is_noted:
            with suppress(OSError):
                (state_dir / GPU_MARKER).unlink(missing_ok=True)


def take_gpu_marker(state_dir: Path) -> str | None:
    """Remove the marker; returns the reason in it, or None if there is none."""
    marker = state_dir / GPU_MARKER
    try:
        reason = marker.read_text("utf-8").strip()
        marker.unlink()
    except (OSError, UnicodeDecodeError):
        return None
    return reason
