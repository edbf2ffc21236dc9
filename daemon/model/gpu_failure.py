"""The loss of a GPU: known in this process, and left as a file for the next one."""

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
    """A GPU that the CPU stands in for. Outlives a service, so that the next one knows of it.

    Attributes:
        since_s: monotonic time at which the GPU failed; None where none did.
        tried_s: monotonic time at which it failed or was tried last.
    """

    since_s: float | None = None
    tried_s: float = 0.0

    def note(self, now_s: float) -> None:
        """The GPU has failed."""
        self.since_s = self.tried_s = now_s


# There while a GPU is opened, and after inference on one hung: the next start leaves the GPU alone
# for a while.
GPU_MARKER: Final = "gpu.failed"


def write_gpu_marker(state_dir: Path, reason: str) -> None:
    """Leave word for the next start that the GPU is not to be used for a while."""
    try:
        atomic.write_file(state_dir / GPU_MARKER, f"{reason}\n".encode())
    except StorageError as error:
        # The next start tries the GPU, hangs again, and says so again.
        log.warning("%s", error)


@contextmanager
def gpu_marker_while_opening(state_dir: Path) -> Iterator[Callable[[], None]]:
    """Leave word for the next start where the process does not survive the block.

    Yields what is to be called before a GPU is opened. No supervisor runs yet: one that hangs is
    ended by systemd, and without a word the next start would hang on it as well.
    """
    is_noted = False

    def note() -> None:
        nonlocal is_noted
        if not is_noted:
            is_noted = True
            write_gpu_marker(state_dir, "the process ended while it was being opened")

    try:
        yield note
    finally:
        if is_noted:
            with suppress(OSError):
                (state_dir / GPU_MARKER).unlink(missing_ok=True)


def take_gpu_marker(state_dir: Path) -> str | None:
    """Why the last process gave the GPU up, once."""
    marker = state_dir / GPU_MARKER
    try:
        reason = marker.read_text("utf-8").strip()
        marker.unlink()
    except (OSError, UnicodeDecodeError):
        return None
    return reason
