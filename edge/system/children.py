"""Child processes that end when their parent does, even if the parent is killed.

The kernel sends them a signal. For that the parent starts them with the environment of
`with_this_parent`, and they first call `end_with_parent`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Final

from edge.system.kernel import signal_at_end_of_parent

_PARENT: Final = "MICROSCOPE_EDGE_PARENT"


def with_this_parent(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child that must end with this process.

    The kernel ends it with the thread that started it, so that thread must wait for it.
    """
    return {**environment, _PARENT: str(os.getpid())}


def end_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this signal when the parent ends, if the parent asked for it."""
    # Removed from the environment: for children of this process it would be wrong.
    parent = os.environ.pop(_PARENT, "")
    if not parent:
        return
    signal_at_end_of_parent(how)
    if os.getppid() != int(parent):
        # The parent ended before the call.
        os.kill(os.getpid(), how)
