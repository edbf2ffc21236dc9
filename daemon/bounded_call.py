"""Calls that may hang, made on a thread that may be left hanging."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# For a share that must not keep the daemon from starting with the others.
ANSWER_S: Final = 5.0


class BoundedCalls(Generic[T]):
    """One thread that makes calls for another, which waits no longer than it wants to.

    Not an executor of the standard library: the interpreter waits for those at its end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Callable[[], T], Future[T]] | None]
        self._calls = queue.SimpleQueue()
        self._last: Future[T] | None = None
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """What `function` returns.

        Raises:
            TimeoutError: it takes longer, or an earlier one still does.
        """
        return self.begin(function).result(timeout_s)

    def begin(self, function: Callable[[], T]) -> Future[T]:
        """Have `function` called, and wait for nothing.

        Raises:
            TimeoutError: an earlier call has not come back.
        """
        if self._last is not None and not self._last.done():
            raise TimeoutError
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future = self._last = Future()
        self._calls.put((function, future))
        return future

    def stop(self) -> None:
        """End the thread after its last call, without waiting for it."""
        self._calls.put(None)

    def _run(self) -> None:
        while call := self._calls.get():
            function, future = call
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                future.set_exception(error)


def call_each(calls: Mapping[K, Callable[[], T]], timeout_s: float, name: str) -> dict[K, T]:
    """What those return that come back in time; each has a thread of its own.

    Raises:
        BaseException: what one of them raised.
    """
    begun = {}
    for key, function in calls.items():
        caller: BoundedCalls[T] = BoundedCalls(name)
        begun[key] = caller.begin(function)
        caller.stop()
    wait(begun.values(), timeout_s)
    return {key: future.result() for key, future in begun.items() if future.done()}
