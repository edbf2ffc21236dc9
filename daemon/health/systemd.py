"""Messages to systemd: readiness, the watchdog, a status line. See sd_notify(3)."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from daemon.system.clock import Clock

# Longest wait for a socket that nobody reads.
_SEND_S: Final = 1.0
STATUS_INTERVAL_S: Final = 5.0
# Time for the last batches when the service ends. Less than TimeoutStopSec= of the unit, after
# which systemd kills the process and reports a failure.
LAST_BATCHES_S: Final = 25


class Notifier:
    """Sends messages to systemd's socket; does nothing if there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)

    def notify(self, *assignments: str) -> None:
        """Send assignments such as `READY=1`. Failures are ignored."""
        if not self._address:
            return
        # A leading @ means the zero byte of an abstract socket.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(_SEND_S)
            client.connect(address)
            client.sendall("\n".join(assignments).encode())

    def extend(self, seconds: int) -> None:
        """Ask systemd for more time, for the start or until the next WATCHDOG=1."""
        self.notify(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def reloading(self) -> None:
        """Tell systemd that the configuration is being read again; READY=1 ends it."""
        # systemd compares this time with that of its own request.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.notify("RELOADING=1", f"MONOTONIC_USEC={now_us}")


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


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    usec = environment.get("WATCHDOG_USEC", "")
    # Child processes inherit both variables, which are for the process that WATCHDOG_PID names.
    is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(usec) / 1e6 if usec.isdigit() and is_for_us else None
