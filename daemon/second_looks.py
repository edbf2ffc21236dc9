"""When rejected images are looked at again that may not have been finished.

A copy that stalled for longer than the patience and went on may leave the size and the times that
the file had. Hints and a changed ctime tell of it on most disks; this is for all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from daemon.journal.journal import Journal
from daemon.system.clock import Clock

# Images of each folder in each turn. A million of them have their turn within three hours, and
# new images, which come first, wait for no more than the batch in hand.
_AT_ONCE: Final = 100
_EVERY_S: Final = 1.0


class SecondLooks:
    """Lets rejected images wait again whose next look is due. For one thread."""

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
        """Some of them, once a second."""
        if self._clock() < self._due_s:
            return
        self._due_s = self._clock() + _EVERY_S
        if images := self._journal.look_again(_AT_ONCE, time.time()):
            self._on_waiting(images)

    def requeue_all(self) -> None:
        """All that are due now, for a run that has an end."""
        now_s = time.time()
        while self._journal.look_again(_AT_ONCE, now_s):
            pass
