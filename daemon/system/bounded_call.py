"""Calls that may hang, made on another thread, for which the caller waits a limited time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Longest wait for a share at a start, so that the other folders are served soon.
ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    function: Callable[[], T]
    on_late: Callable[[T], None] | None
    answer: Future[T] = field(default_factory=Future)
    is_over: threading.Event = field(default_factory=threading.Event)


class BoundedCalls(Generic[T]):
    """One thread that makes calls for other threads, which wait for a limited time.

    Not an executor of the standard library, as the interpreter waits for its threads at the end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call[T] | None] = queue.SimpleQueue()
        self._last: _Call[T] | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_hung(self) -> bool:
        """Whether the last call has timed out and still runs."""
        return (
            self._last is not None
            and self._last.answer.cancelled()
            and not self._last.is_over.is_set()
        )

    def call(
        self,
        function: Callable[[], T],
        timeout_s: float,
        on_late: Callable[[T], None] | None = None,
    ) -> T:
        """Call `function` on the thread and return its result.

        Args:
            function: may hang.
            timeout_s: how long to wait for it, in seconds.
            on_late: called on the thread with a result that comes after the timeout.

        Raises:
            TimeoutError: it takes longer, or an earlier call that timed out still runs.
        """
        answer = self.begin(function, on_late)
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            # Either the caller gets the result or `on_late` does, never both, never neither.
            if answer.cancel():
                raise
            return answer.result()

    def begin(
        self, function: Callable[[], T], on_late: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Begin a call of `function` without waiting.

        Raises:
            TimeoutError: an earlier call that timed out still runs.
        """
        if self.is_hung:
            raise TimeoutError
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        call = self._last = _Call(function, on_late)
        self._calls.put(call)
        return call.answer

    def stop(self) -> None:
        """End the thread after its last call, without waiting for it."""
        self._calls.put(None)

    def _run(self) -> None:
        while call := self._calls.get():
            _make(call)
            call.is_over.set()


def _make(call: _Call[T]) -> None:
    try:
        found = call.function()
    except BaseException as error:  # noqa: BLE001 - the caller gets it from the future
        with suppress(InvalidStateError):
            call.answer.set_exception(error)
        return
    try:
        call.answer.set_result(found)
    except InvalidStateError:
        if call.on_late is not None:
            call.on_late(found)


def no_answer(place: str) -> str:
    """The error text for a place that did not answer in time."""
    return f"{place} does not answer. Check its share or disk."


def call_each(calls: Mapping[K, Callable[[], T]], timeout_s: float, name: str) -> dict[K, T]:
    """Make calls on a thread each; returns the results that come within `timeout_s`.

    Raises:
        BaseException: one of them raised it within this time.
    """
    begun = {}
    for key, function in calls.items():
        caller: BoundedCalls[T] = BoundedCalls(name)
        begun[key] = caller.begin(function)
        caller.stop()
    wait(begun.values(), timeout_s)
    return {key: future.result() for key, future in begun.items() if future.done()}
