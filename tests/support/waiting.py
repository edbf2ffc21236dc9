"""Waiting in tests: for a condition, never for a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable


def until(
    condition: Callable[[], object], *, timeout_s: float = 15.0, poll_s: float = 0.005
) -> None:
    """Wait until a condition is true.

    Args:
        condition: is asked again and again; what it raises ends the wait.
        timeout_s: only how long a failure takes, so it is generous.
        poll_s: the pause between two looks, longer where a look is expensive.

    Raises:
        AssertionError: the condition did not become true in time.
    """
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, f"the condition did not become true within {timeout_s:g} s"
        time.sleep(poll_s)


def is_listened_to(port: int) -> bool:
    """Whether a server takes connections at a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
