"""One image wakes one worker, and no image is slept through."""

from __future__ import annotations

import threading
from collections.abc import Callable

from daemon.bell import Bell

Until = Callable[..., None]
# Nobody wakes by himself in a test.
LONG_S = 60.0


class Waiters:
    """Threads that wait until the bell rings."""

    def __init__(self, bell: Bell, count: int) -> None:
        self.woken: list[bool] = []
        heard = bell.rings
        self.threads = [
            threading.Thread(target=lambda: self.woken.append(bell.wait(heard, LONG_S)))
            for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(20)


def all_wait(bell: Bell, count: int) -> bool:
    return len(bell._condition._waiters) == count  # type: ignore[attr-defined]


def test_ring_for_one_image_wakes_one_and_ring_out_all(until: Until) -> None:
    bell = Bell()
    waiters = Waiters(bell, 3)
    until(lambda: all_wait(bell, 3))
    bell.ring(1)
    until(lambda: waiters.woken == [True])
    assert all_wait(bell, 2)
    bell.ring_out()
    waiters.join()
    assert waiters.woken == [True] * 3


def test_ring_for_many_images_wakes_all(until: Until) -> None:
    bell = Bell()
    waiters = Waiters(bell, 3)
    until(lambda: all_wait(bell, 3))
    bell.ring(100)
    waiters.join()
    assert waiters.woken == [True] * 3


def test_ring_before_the_wait_is_not_missed() -> None:
    bell = Bell()
    heard = bell.rings
    bell.ring(1)
    assert bell.wait(heard, LONG_S)


def test_wait_ends_without_a_ring() -> None:
    assert not Bell().wait(0, 0.01)
