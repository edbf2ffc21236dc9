"""The queue between the watcher's threads and the coordinator. It may lose, but says so."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

# Hints waiting for the coordinator. It takes some thousands a second; a bulk copy that brings
# more than this is found by the rescan that follows.
MAX_HINTS: Final = 10_000


class HintKind(Enum):
    """What was seen of a file."""

    RENAMED_IN = auto()
    CLOSED = auto()
    CREATED = auto()
    NEW_FOLDER = auto()


@dataclass(frozen=True, slots=True)
class Hint:
    """A path below a watch folder that is worth a look."""

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
        """Say that files may have come without a hint."""
        self._is_lossy = True

    def take_loss(self) -> bool:
        """Whether hints were lost since the last call."""
        was_lossy, self._is_lossy = self._is_lossy, False
        return was_lossy

    def wake(self) -> None:
        """End the wait of `take` without a hint."""
        self._queue.put(None)

    def take(self, timeout_s: float) -> Iterator[Hint]:
        """The hints that are there; waits up to `timeout_s` for the first."""
        try:
            hint = self._queue.get(timeout=max(timeout_s, 0.0))
            for number in range(MAX_HINTS):
                # Not after the last one: what is taken is given.
                if number:
                    hint = self._queue.get_nowait()
                if hint is not None:
                    yield hint
        except queue.Empty:
            return
