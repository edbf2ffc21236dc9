"""Waits until the threads of this process rest, before another subject is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

# Short beside a turn of 50 ms, and long enough to see a thread that spins.
_WINDOW_S: Final = 0.003
_QUIET: Final = 0.2
_MOST_WINDOWS: Final = 100


def wait_until_quiet(
    *,
    sleep: Callable[[float], object] = time.sleep,
    wall_ns: Callable[[], int] = time.perf_counter_ns,
    own_ns: Callable[[], int] = time.process_time_ns,
) -> bool:
    """Sleep until this process takes less than a fifth of a core; for 0.3 s at most.

    Libraries let their threads spin after a call, to be quicker at the next one: ONNX Runtime's
    default session for 55 ms, PyTorch for 5 ms (measured). In the next turn these take a core from
    another subject.

    Args:
        sleep, wall_ns, own_ns: the clocks of the machine and of this process.

    Returns:
        Whether it became quiet.
    """
    for _ in range(_MOST_WINDOWS):
        wall, own = wall_ns(), own_ns()
        sleep(_WINDOW_S)
        if own_ns() - own < _QUIET * (wall_ns() - wall):
            return True
    return False
