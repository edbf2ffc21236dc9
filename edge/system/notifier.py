"""Messages to systemd, of a process that it supervises. See sd_notify(3)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

# Longest wait for a socket that nobody reads.
_SEND_S: Final = 1.0
# Between two signs of life; each costs some system calls, and steps may take microseconds.
_BEAT_S: Final = 1.0


class Notifier:
    """Sends messages to systemd's socket; does nothing if there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)
        self._next_beat_s = 0.0

    @property
    def is_there(self) -> bool:
        """Whether there is a socket."""
        return bool(self._address)

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

    def beat(self) -> None:
        """Tell that the process lives, at most once a second; call it before each short step."""
        now_s = time.monotonic()
        if now_s >= self._next_beat_s:
            self._next_beat_s = now_s + _BEAT_S
            self.notify("WATCHDOG=1")

    def extend(self, seconds: int) -> None:
        """Ask systemd for more time, for the start or until the next WATCHDOG=1."""
        self.notify(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}")

    def reloading(self) -> None:
        """Tell systemd that the configuration is being read again; READY=1 ends it."""
        # systemd compares this time with that of its own request.
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.notify("RELOADING=1", f"MONOTONIC_USEC={now_us}")


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    usec = environment.get("WATCHDOG_USEC", "")
    # Child processes inherit both variables, which are for the process that WATCHDOG_PID names.
    is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(usec) / 1e6 if usec.isdigit() and is_for_us else None
