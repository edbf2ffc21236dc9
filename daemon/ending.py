"""Whether the service ends, and why."""

from __future__ import annotations

import threading

from edge.errors import EdgeError


class Ending:
    """Asked for by a signal, a worker or the supervisor. Safe to use from any thread.

    Not in a signal handler, which may interrupt its own thread inside `request` or `wait`.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._error: EdgeError | None = None

    def request(self, error: EdgeError | None = None) -> None:
        """End the service; with an error, which `raise_error` gives to whoever ran it."""
        self._error = self._error or error
        self._requested.set()

    @property
    def is_requested(self) -> bool:
        """Whether the service ends."""
        return self._requested.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, for so long at the most; whether it came."""
        return self._requested.wait(seconds)

    def raise_error(self) -> None:
        """Raise the error that ended the service, where one did."""
        if self._error is not None:
            raise self._error
