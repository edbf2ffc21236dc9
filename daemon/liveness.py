"""What systemd is told: ready, still making progress, stopping. See sd_notify(3)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from daemon.settle import Clock

# The largest batch takes a second on a slow CPU and its sidecars some more on a slow share.
# Whoever needs longer than this hangs in a driver or on a dead mount, and only a restart helps.
STUCK_AFTER_S: Final = 60.0
# systemd shows the status line to people; they do not read faster.
STATUS_INTERVAL_S: Final = 5.0


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
            client.connect(address)
            client.sendall("\n".join(assignments).encode())


class Pulse:
    """Progress: which workers are in a batch, and for how long."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._busy_since: dict[int, float] = {}

    @contextmanager
    def batch(self) -> Iterator[None]:
        """The calling worker is in a batch while the block runs."""
        worker = threading.get_ident()
        self._busy_since[worker] = self._clock()
        try:
            yield
        finally:
            del self._busy_since[worker]

    def is_stuck(self) -> bool:
        """Whether a worker has been in one batch for too long."""
        latest = self._clock() - STUCK_AFTER_S
        return any(since < latest for since in list(self._busy_since.values()))


class Heartbeat:
    """Beats from the coordinator's own loop, so that a beat means that the loop turns."""

    def __init__(self, notifier: Notifier, pulse: Pulse, *, clock: Clock = time.monotonic) -> None:
        self._notifier = notifier
        self._pulse = pulse
        self._clock = clock
        self._next_beat_s = 0.0
        self._next_status_s = 0.0

    def ready(self) -> None:
        """Tell systemd that images are being labelled."""
        self._notifier.notify("READY=1")

    def stopping(self) -> None:
        """Tell systemd that the service stops as asked."""
        self._notifier.notify("STOPPING=1")

    def beat(self) -> None:
        """Tell systemd of progress, at half its interval, unless a worker is stuck."""
        interval_s = self._notifier.watchdog_s
        if interval_s and self._clock() >= self._next_beat_s and not self._pulse.is_stuck():
            self._notifier.notify("WATCHDOG=1")
            self._next_beat_s = self._clock() + interval_s / 2

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
