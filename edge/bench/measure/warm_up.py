"""Calls before the first one that counts, until their time has settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from edge.bench.measure.clock import Clock
from edge.bench.statistics.series import WarmUp

# A window is at least so long and so many calls: its median is not that of one lucky call.
_WINDOW_NS: Final = 50_000_000
_WINDOW_CALLS: Final = 5
# The medians of so many windows in a row differ by less than this share. Cold caches, a rising
# clock and pools that still grow make a larger difference.
_WINDOWS: Final = 3
_TOLERANCE: Final = 0.1


def warm_up(call: Callable[[int], object], clock: Clock, most_s: float) -> tuple[WarmUp, float]:
    """Call until the time of a call no longer changes; returns what it took.

    Returns:
        The warm-up, and the last window's median in nanoseconds.
    """
    medians: deque[float] = deque(maxlen=_WINDOWS)
    start_ns, calls = clock.now_ns(), 0
    while True:
        durations_ns: list[int] = []
        while len(durations_ns) < _WINDOW_CALLS or sum(durations_ns) < _WINDOW_NS:
            before_ns = clock.now_ns()
            call(calls)
            durations_ns.append(clock.now_ns() - before_ns)
            calls += 1
            if clock.now_ns() - start_ns > 2 * most_s * 1e9:
                # A window of slow calls, such as large batches, takes longer than the limit.
                break
        medians.append(median(durations_ns))
        seconds = (clock.now_ns() - start_ns) / 1e9
        is_stable = len(medians) == _WINDOWS and _agree(medians)
        if is_stable or seconds >= most_s:
            return WarmUp(calls, seconds, is_stable), medians[-1]


def _agree(medians: deque[float]) -> bool:
    return max(medians) <= (1 + _TOLERANCE) * min(medians)
