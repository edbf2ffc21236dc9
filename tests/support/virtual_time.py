"""A clock that only moves when somebody waits, and a server that lives by it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from edge.bench.measure.record import Record


class VirtualClock:
    """Nanoseconds from 0."""

    def __init__(self) -> None:
        self._now_ns = 0
        self.listeners: list[Callable[[int], None]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def wait_until_ns(self, moment_ns: int) -> None:
        self._now_ns = max(self._now_ns, moment_ns)
        for listener in self.listeners:
            listener(self._now_ns)

    def pass_ns(self, nanoseconds: int) -> None:
        self.wait_until_ns(self._now_ns + nanoseconds)


class VirtualServer:
    """Serves requests one after the other; `service_ns` says how long each takes."""

    def __init__(self, clock: VirtualClock, service_ns: Callable[[int], int]) -> None:
        self._clock, self._service_ns = clock, service_ns
        self._record = Record(0)
        self._pending: deque[tuple[int, int]] = deque()
        self._free_ns = self._count = 0
        clock.listeners.append(self._answer)

    def begin(self, record: Record) -> None:
        self._record = record

    def prepare(self, number: int, at_ns: int) -> None:
        pass

    def send(self, number: int) -> None:
        begins_ns = max(self._clock.now_ns(), self._free_ns)
        self._free_ns = begins_ns + self._service_ns(self._count)
        self._count += 1
        self._pending.append((self._free_ns, number))

    def wait(self, seconds: float) -> None:
        until_ns = self._clock.now_ns() + int(seconds * 1e9)
        if self._pending:
            until_ns = min(until_ns, self._pending[0][0])
        self._clock.wait_until_ns(until_ns)

    def _answer(self, now_ns: int) -> None:
        while self._pending and self._pending[0][0] <= now_ns:
            done_ns, number = self._pending.popleft()
            self._record.answered(number, done_ns, Path(f"{number}.jpg"))
