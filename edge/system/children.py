"""Child processes that end when their parent does, however that ends.

A parent that is killed cannot end them itself, so the kernel does: the parent passes
`with_this_parent` as their environment, and they call `end_with_parent` before anything else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Final

from edge.system.kernel import signal_at_end_of_parent

_PARENT: Final = "MICROSCOPE_EDGE_PARENT"


def with_this_parent(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a child that shall end with this process.

    It ends with the thread that starts it, which therefore waits for it.
    """
    return {**environment, _PARENT: str(os.getpid())}


def end_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Be sent this signal when the parent ends, where the parent asked for it."""
    # Not handed on: a child of this process has another parent.
    parent = os.environ.pop(_PARENT, "")
    if not parent:
        return
    signal_at_end_of_parent(how)
    if os.getppid() != int(parent):
        # It ended before the kernel knew.
        os.kill(os.getpid(), how)
