"""The clock of a measurement, so that tests can pass one that does not wait."""

from __future__ import annotations

import time
from typing import Protocol

from edge.system.kernel import sharpen_sleep


class Clock(Protocol):
    """Nanoseconds from any zero."""

    def now_ns(self) -> int:
        """The time."""

    def wait_until_ns(self, moment_ns: int) -> None:
        """Return at that time, or at once if it has passed."""


class RealClock:
    """The monotonic clock of the system."""

    def __init__(self) -> None:
        sharpen_sleep()

    def now_ns(self) -> int:
        """The time."""
        return time.perf_counter_ns()

    def wait_until_ns(self, moment_ns: int) -> None:
        """Sleep until then."""
        left_ns = moment_ns - time.perf_counter_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)
