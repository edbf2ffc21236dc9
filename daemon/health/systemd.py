"""When systemd is told what: readiness, the watchdog, a status line."""

from __future__ import annotations

import math
import time
from typing import Final

from daemon.system.clock import Clock
from edge.system.notifier import Notifier

STATUS_INTERVAL_S: Final = 5.0
# Time for the last batches when the service ends. Less than TimeoutStopSec= of the unit, after
# which systemd kills the process and reports a failure.
LAST_BATCHES_S: Final = 25


class Heartbeat:
    """Sends READY=1, WATCHDOG=1 and the status line, each no more often than needed."""

    def __init__(self, notifier: Notifier, *, clock: Clock = time.monotonic) -> None:
        self._notifier = notifier
        self._clock = clock
        self._next_beat_s = 0.0
        self._next_status_s = 0.0

    def ready(self) -> None:
        """Tell systemd that images are being labelled."""
        self._notifier.notify("READY=1")

    def beat(self) -> None:
        """Send WATCHDOG=1, if a quarter of the watchdog's interval or a second has passed."""
        interval_s = self._notifier.watchdog_s
        if interval_s and self._clock() >= self._next_beat_s:
            self._notifier.notify("WATCHDOG=1")
            self._next_beat_s = self._clock() + min(interval_s / 4, 1.0)

    def stop(self) -> None:
        """Send no more WATCHDOG=1, and ask systemd for the time of the last batches."""
        self._next_beat_s = math.inf
        self._notifier.extend(LAST_BATCHES_S)

    def status_due(self) -> bool:
        """Whether it is time for a new status line."""
        return self._clock() >= self._next_status_s

    def status(self, text: str) -> None:
        """Show a line in `systemctl status`."""
        self._notifier.notify(f"STATUS={text}")
        self._next_status_s = self._clock() + STATUS_INTERVAL_S
