"""Looks again, at growing intervals, at rejected images that may have been incomplete.

A copy that stalled longer than the grace period and then went on may leave size and mtime as they
were. On most disks a hint or the ctime shows the change; this is for the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from daemon.journal.journal import Journal
from daemon.system.clock import Clock

# Images per folder and turn. A million images take three hours; new images are claimed first.
_AT_ONCE: Final = 100
_EVERY_S: Final = 1.0


class SecondLooks:
    """Sets rejected images back to waiting when their next look is due. For one thread."""

    def __init__(
        self,
        journal: Journal,
        on_waiting: Callable[[int], None] = lambda _images: None,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._journal = journal
        self._on_waiting = on_waiting
        self._clock = clock
        self._due_s = clock()

    def requeue_some(self) -> None:
        """Set up to 100 due images of each folder to waiting, at most once a second."""
        if self._clock() < self._due_s:
            return
        self._due_s = self._clock() + _EVERY_S
        if images := self._journal.look_again(_AT_ONCE, time.time()):
            self._on_waiting(images)

    def requeue_all(self) -> None:
        """Set all images that are due now to waiting; for `once`."""
        now_s = time.time()
        while self._journal.look_again(_AT_ONCE, now_s):
            pass
