"""What became of the requests of an open loop: sent, answered, and when."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Record:
    """Requests by number. `answered` may be called from any thread."""

    def __init__(self, count: int) -> None:
        self.sent_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self.done_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        # When a worker took a request; 0 where nobody sees it.
        self.begun_ns: NDArray[np.int64] = np.zeros(count, np.int64)
        self.returned: list[Any] = [None] * count
        self._lock = threading.Lock()
        self._sent = self._answered = 0

    @property
    def unanswered(self) -> int:
        """Requests that wait or are being served."""
        with self._lock:
            return self._sent - self._answered

    @property
    def answers(self) -> int:
        """Requests that were answered."""
        with self._lock:
            return self._answered

    def sent(self, number: int, at_ns: int) -> None:
        """A request has left the generator."""
        self.sent_ns[number] = at_ns
        with self._lock:
            self._sent += 1

    def answered(self, number: int, at_ns: int, returned: Any) -> None:
        """A request got its answer."""
        self.done_ns[number] = at_ns
        self.returned[number] = returned
        with self._lock:
            self._answered += 1


class Service(Protocol):
    """Serves requests, and notes each answer in the record of its run."""

    def begin(self, record: Record) -> None:
        """The record of the requests to come, which are numbered from 0."""

    def prepare(self, number: int, at_ns: int) -> None:
        """Get a request ready that will be sent at that time."""

    def send(self, number: int) -> None:
        """Send a request and return without waiting for its answer.

        Raises:
            EdgeError: the service failed.
        """

    def wait(self, seconds: float) -> None:
        """Wait for answers, so long at most.

        Raises:
            EdgeError: the service failed.
        """
