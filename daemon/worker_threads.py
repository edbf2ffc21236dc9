"""The worker threads: how they are started, woken when images wait, and asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from edge.errors import BackendError, EdgeError


class WorkSignal:
    """Wakes workers that wait for images.

    A worker passes the last count that it saw to `wait`, so that a signal sent before the wait
    began is not lost.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many signals were sent."""
        return self._count

    def wake(self, images: int) -> None:
        """Wake as many waiting workers as there are new images.

        Another one would find nothing in the journal, and delay those that do.
        """
        with self._condition:
            self._count += 1
            self._condition.notify(images)

    def wake_all(self) -> None:
        """Wake every waiting worker."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until more than `seen` signals were sent; False after `timeout_s`."""
        with self._condition:
            return self._condition.wait_for(lambda: self._count > seen, timeout_s)


class StopRequest:
    """Whether the service has to stop, and for which error. Safe to use from any thread.

    Not for a signal handler, which may interrupt its own thread inside `make` or `wait`.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._error: EdgeError | None = None

    def make(self, error: EdgeError | None = None) -> None:
        """Stop the service; the first error given is kept for `raise_error`."""
        self._error = self._error or error
        self._requested.set()

    @property
    def is_made(self) -> bool:
        """Whether the service has to stop."""
        return self._requested.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the request; returns whether it was made."""
        return self._requested.wait(seconds)

    def raise_error(self) -> None:
        """Raise the error for which the service stopped, if there is one."""
        if self._error is not None:
            raise self._error


def start_workers(
    pool: ThreadPoolExecutor, work: Callable[[], None], needed: int
) -> list[Future[None]]:
    """Run `work` in `needed` threads of the pool.

    Raises:
        BackendError: not all could be started; those that were keep running.
    """
    workers: list[Future[None]] = []
    try:
        workers.extend(pool.submit(work) for _ in range(needed))
    except RuntimeError as error:
        raise BackendError(
            f"only {len(workers)} of {needed} workers could be started ({error}). Set fewer "
            "workers, or raise TasksMax= of the unit."
        ) from error
    return workers
