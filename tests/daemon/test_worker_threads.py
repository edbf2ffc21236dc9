"""One image wakes one worker, and no image is slept through."""

from __future__ import annotations

import threading

from daemon.worker_threads import WorkSignal
from tests.support.waiting import until

# Nobody wakes by himself in a test.
LONG_S = 60.0


class Waiters:
    """Threads that wait until the signal rings."""

    def __init__(self, signal: WorkSignal, count: int) -> None:
        self.woken: list[bool] = []
        seen = signal.count
        self.threads = [
            threading.Thread(target=lambda: self.woken.append(signal.wait(seen, LONG_S)))
            for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(20)


def all_wait(signal: WorkSignal, count: int) -> bool:
    return len(signal._condition._waiters) == count  # type: ignore[attr-defined]  # noqa: SLF001 - a race: the signal comes while this thread holds the lock


def test_ring_for_one_image_wakes_one_and_ring_out_all() -> None:
    signal = WorkSignal()
    waiters = Waiters(signal, 3)
    until(lambda: all_wait(signal, 3))
    signal.wake(1)
    until(lambda: waiters.woken == [True])
    assert all_wait(signal, 2)
    signal.wake_all()
    waiters.join()
    assert waiters.woken == [True] * 3


def test_ring_for_many_images_wakes_all() -> None:
    signal = WorkSignal()
    waiters = Waiters(signal, 3)
    until(lambda: all_wait(signal, 3))
    signal.wake(100)
    waiters.join()
    assert waiters.woken == [True] * 3


def test_ring_before_the_wait_is_not_missed() -> None:
    signal = WorkSignal()
    seen = signal.count
    signal.wake(1)
    assert signal.wait(seen, LONG_S)


def test_wait_ends_without_a_ring() -> None:
    assert not WorkSignal().wait(0, 0.01)
