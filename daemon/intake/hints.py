"""The queue of hints from inotify's threads to the coordinator.

It is bounded. When hints are lost it notes that, so that a rescan finds the files.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

# The coordinator takes some thousands a second; files of a larger bulk copy are found by a rescan.
MAX_HINTS: Final = 10_000


class HintKind(Enum):
    """What happened to a file or folder."""

    RENAMED_IN = auto()
    CLOSED = auto()
    CREATED = auto()
    NEW_FOLDER = auto()


@dataclass(frozen=True, slots=True)
class Hint:
    """A path below a watch folder where a file or folder may be new."""

    folder_id: int
    path: bytes
    kind: HintKind


class Hints:
    """A bounded queue of hints. Putting never blocks and never fails."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Hint | None] = queue.SimpleQueue()
        self._is_lossy = False

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, hint: Hint) -> None:
        """Add a hint, or note that one was lost."""
        if self._queue.qsize() >= MAX_HINTS:
            self._is_lossy = True
        else:
            self._queue.put(hint)

    def note_loss(self) -> None:
        """Note that files may have come without a hint."""
        self._is_lossy = True

    def take_loss(self) -> bool:
        """Whether hints were lost since the last call."""
        was_lossy, self._is_lossy = self._is_lossy, False
        return was_lossy

    def wake(self) -> None:
        """End the wait of `take` without a hint."""
        self._queue.put(None)

    def take(self, timeout_s: float) -> Iterator[Hint]:
        """Take the queued hints; waits up to `timeout_s` for the first."""
        try:
            hint = self._queue.get(timeout=max(timeout_s, 0.0))
            for number in range(MAX_HINTS):
                # At the loop's end, so that every hint taken from the queue is also yielded.
                if number:
                    hint = self._queue.get_nowait()
                if hint is not None:
                    yield hint
        except queue.Empty:
            return
