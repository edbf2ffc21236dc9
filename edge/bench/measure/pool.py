"""Worker threads that serve requests in their order, as those of the daemon."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Self

from edge.bench.measure.clock import Clock
from edge.bench.measure.record import Record
from edge.bench.measure.task import Task
from edge.errors import BackendError, EdgeError


class Pool:
    """A `Service` of threads. Use it in a `with` block."""

    def __init__(self, task: Task, workers: int, clock: Clock) -> None:
        self._task, self._clock = task, clock
        self._waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._record = Record(0)
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        self._has_answered = threading.Event()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        # After an error, requests that still wait are dropped.
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def begin(self, record: Record) -> None:
        """The record of the requests to come."""
        self._record = record

    def prepare(self, number: int, at_ns: int) -> None:
        """Nothing is to be done."""

    def send(self, number: int) -> None:
        """Queue a request."""
        self._require_health()
        self._waiting.put(number)

    def wait(self, seconds: float) -> None:
        """Wait for the next answer."""
        self._has_answered.wait(seconds)
        self._has_answered.clear()
        self._require_health()

    def _serve(self) -> None:
        while (number := self._waiting.get()) is not None:
            self._record.begun_ns[number] = self._clock.now_ns()
            try:
                returned = self._task.run(number)
            except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
                self._error = error
            else:
                self._record.answered(number, self._clock.now_ns(), returned)
            self._has_answered.set()

    def _require_health(self) -> None:
        if isinstance(self._error, EdgeError):
            raise self._error
        if self._error is not None:
            raise BackendError(f"a worker failed: {self._error}") from self._error
