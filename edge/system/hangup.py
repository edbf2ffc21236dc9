"""SIGHUP as a request to read the configuration again, for a loop that waits between its steps."""

from __future__ import annotations

import os
import select
import signal
from types import TracebackType
from typing import Final, Self

_MANY: Final = 4096


class Hangup:
    """Keeps SIGHUP from ending the process, from `with` to the end of the block.

    Use it in the main thread. A step in hand is never interrupted, only a wait.
    """

    def __init__(self) -> None:
        self._was_asked = False

    def __enter__(self) -> Self:
        # The kernel may give the signal to any thread, such as one of a library. The byte that
        # Python's handler writes ends a wait of the main thread all the same.
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = signal.signal(signal.SIGHUP, self._note)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGHUP, self._before)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until SIGHUP; returns whether it came since the last call."""
        if not self._was_asked:
            ready, _, _ = select.select([self._reader], [], [], seconds)
            if ready:
                os.read(self._reader, _MANY)
        was_asked, self._was_asked = self._was_asked, False
        return was_asked

    def _note(self, *_: object) -> None:
        self._was_asked = True
