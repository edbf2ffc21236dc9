"""How long each thread has been in its present stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.system.clock import Clock


class Stages:
    """Which threads are in which stage, and since when. Safe to use from any thread."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[int, str], float] = {}
        self._ticked_s = self._queue_moved_s = clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The calling thread is in a stage while the block runs."""
        key = (threading.get_ident(), name)
        self._since[key] = self._clock()
        try:
            yield
        finally:
            self._since.pop(key, None)

    def threads_in(self, *names: str, longer_than_s: float = 0.0) -> int:
        """How many threads are in one of these stages, each for longer than so many seconds."""
        until_s = self._clock() - longer_than_s
        stages = list(self._since.items())
        return len({id_ for (id_, name), s in stages if name in names and s <= until_s})

    def longest_s(self, name: str) -> float:
        """For how long the thread that is longest in a stage has been in it; 0.0 where none is."""
        now = self._clock()
        since = [since for (_, stage), since in list(self._since.items()) if stage == name]
        return now - min(since, default=now)

    def note_queue_progress(self) -> None:
        """A worker is done with what it took from the queue, or there is nothing to take."""
        self._queue_moved_s = self._clock()

    def queue_stalled_s(self) -> float:
        """For how long there was something to take from the queue and no worker was done."""
        return self._clock() - self._queue_moved_s

    def tick(self) -> None:
        """The coordinator's loop has turned once more."""
        self._ticked_s = self._clock()

    def ticked_ago_s(self) -> float:
        """Seconds since the coordinator's loop has turned."""
        return self._clock() - self._ticked_s
