"""How the coordinator wakes workers that wait for images."""

from __future__ import annotations

import threading


class Bell:
    """A bell that nobody misses: whoever waits says which ring he heard last."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it rang."""
        return self._rings

    def ring(self, images: int) -> None:
        """Wake as many of those who wait as there are images.

        One more would ask the journal in vain, and hold up the one who has an image.
        """
        with self._condition:
            self._rings += 1
            self._condition.notify(images)

    def ring_out(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, heard: int, timeout_s: float) -> bool:
        """Wait until it has rung more than `heard` times; False after `timeout_s`."""
        with self._condition:
            return self._condition.wait_for(lambda: self._rings > heard, timeout_s)
