from __future__ import annotations

from edge.bench.machine.quiet import wait_until_quiet


class Process:
    """A process of which a thread spins until a moment; its sleeps take no time."""

    def __init__(self, spins_until_ns: int) -> None:
        self.now_ns = 0
        self.sleeps = 0
        self._spins_until_ns = spins_until_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self.sleeps += 1

    def own_ns(self) -> int:
        return min(self.now_ns, self._spins_until_ns)

    def wait(self) -> bool:
        return wait_until_quiet(sleep=self.sleep, wall_ns=lambda: self.now_ns, own_ns=self.own_ns)


def test_quiet_process_waits_for_one_look() -> None:
    process = Process(spins_until_ns=0)
    assert process.wait()
    assert process.sleeps == 1


def test_spinning_threads_are_waited_for() -> None:
    process = Process(spins_until_ns=55_000_000)
    assert process.wait()
    assert process.now_ns >= 55_000_000


def test_process_that_is_never_quiet_is_waited_for_in_vain_and_not_for_ever() -> None:
    process = Process(spins_until_ns=10**12)
    assert not process.wait()
    assert process.now_ns < 10**9


def test_process_that_rests_is_quiet_by_the_real_clocks() -> None:
    assert wait_until_quiet()
