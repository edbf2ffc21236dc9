"""How long each thread has been in its current stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from daemon.system.clock import Clock

# Stages that wait for a file system, which may be on another machine.
EXPORT: Final = "export"
LABEL: Final = "label"
RESULTS: Final = "results"
# A worker that has claimed images, or waits for more to arrive.
BUSY: Final = "busy"
# A worker's last step, on local disks alone.
MARK: Final = "mark"
# One inference, within the stage LABEL.
INFER: Final = "infer"


class Stages:
    """Which threads are in which stage, and since when. Safe to use from any thread."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[int, str], float] = {}
        self._ticked_s = self._queue_moved_s = clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note that the calling thread is in a stage while the block runs."""
        key = (threading.get_ident(), name)
        self._since[key] = self._clock()
        try:
            yield
        finally:
            self._since.pop(key, None)

    def threads_in(self, *names: str, longer_than_s: float = 0.0) -> int:
        """How many threads have been in one of these stages for longer than `longer_than_s`."""
        until_s = self._clock() - longer_than_s
        stages = list(self._since.items())
        return len({id_ for (id_, name), s in stages if name in names and s <= until_s})

    def longest_s(self, name: str) -> float:
        """Seconds that the longest waiting thread has been in a stage; 0.0 if none is in it."""
        now = self._clock()
        since = [since for (_, stage), since in list(self._since.items()) if stage == name]
        return now - min(since, default=now)

    def note_queue_progress(self) -> None:
        """Note that a worker has finished a batch, or that no image can be claimed."""
        self._queue_moved_s = self._clock()

    def queue_stalled_s(self) -> float:
        """Seconds since the last `note_queue_progress`."""
        return self._clock() - self._queue_moved_s

    def tick(self) -> None:
        """Note that the coordinator has begun another round of its loop, or taken a hint."""
        self._ticked_s = self._clock()

    def ticked_ago_s(self) -> float:
        """Seconds since the last `tick`."""
        return self._clock() - self._ticked_s
