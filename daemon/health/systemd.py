"""Who does what since when, and what systemd is told of it. See sd_notify(3)."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from daemon.system.clock import Clock

# For a socket whose reader stands still: whoever tells systemd something has other things to do.
_SEND_S: Final = 1.0
# systemd shows the status line to people; they do not read faster.
STATUS_INTERVAL_S: Final = 5.0
# What a service that ends gives its batches in hand. Before TimeoutStopSec= of the unit, after
# which systemd kills and calls it a failure.
LAST_BATCHES_S: Final = 25


class Notifier:
    """Sends to systemd's socket; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)

    def notify(self, *assignments: str) -> None:
        """Send assignments such as `READY=1`. A failure is not the service's concern."""
        if not self._address:
            return
        # A leading @ stands for the zero byte of an abstract socket.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(_SEND_S)
            client.connect(address)
            client.sendall("\n".join(assignments).encode())

    def extend(self, seconds: int) -> None:
        """Ask systemd for more time, at a start as well as before the next beat."""
        self.notify(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def reloading(self) -> None:
        """Tell systemd that the configuration is being read again; READY=1 ends it."""
        # systemd compares this moment with that of its own request.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.notify("RELOADING=1", f"MONOTONIC_USEC={now_us}")


class Heartbeat:
    """What systemd hears of the service."""

    def __init__(self, notifier: Notifier, *, clock: Clock = time.monotonic) -> None:
        self._notifier = notifier
        self._clock = clock
        self._next_beat_s = 0.0
        self._next_status_s = 0.0

    def ready(self) -> None:
        """Tell systemd that images are being labelled."""
        self._notifier.notify("READY=1")

    def beat(self) -> None:
        """Tell systemd of progress, at a quarter of its interval or every second."""
        interval_s = self._notifier.watchdog_s
        if interval_s and self._clock() >= self._next_beat_s:
            self._notifier.notify("WATCHDOG=1")
            self._next_beat_s = self._clock() + min(interval_s / 4, 1.0)

    def last(self) -> None:
        """Tell systemd that no beat follows while the last batches are finished."""
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
    # Both variables are inherited by child processes; they mean the one that is named.
    is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(usec) / 1e6 if usec.isdigit() and is_for_us else None
