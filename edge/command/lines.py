"""Lines of a command whose work goes on without their reader."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Final

from edge.errors import StorageError
from edge.text.counted import counted

# A reader that is only slow has taken something by then.
_PATIENCE_S: Final = 1.0


class Lines:
    """Shows lines on standard output, or loses them.

    A line is lost if its reader has gone, if its disk is full, or if it would have to wait for a
    reader that has stopped reading, such as a terminal after Ctrl-S.

    Attributes:
        was_called: whether there was a line to show.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        """Nothing was lost yet.

        Args:
            show: writes lines and flushes them.
        """
        self._show = show
        self._unread = 0
        self._error: StorageError | None = None
        self.was_called = False

    def __call__(self, text: str) -> None:
        """Show a text of one or more short lines."""
        self.was_called = True
        if not _is_ready(0 if self._unread else _PATIENCE_S):
            self._unread += 1
            return
        try:
            if self._unread:
                self._show(f"{counted(self._unread, 'line')} lost, as nobody read them")
                self._unread = 0
            self._show(text)
        except BrokenPipeError:
            return
        except StorageError as error:
            self._error = error

    def require_written(self) -> None:
        """At the end of the work: tell that lines are missing.

        Raises:
            StorageError: the disk was full.
        """
        if self._error is not None:
            raise self._error


def _is_ready(wait_s: float) -> bool:
    """Whether standard output takes a short line at once; a pipe does while it has a free page."""
    try:
        _, ready, _ = select.select([], [sys.stdout.fileno()], [], wait_s)
    except (OSError, ValueError):
        # It is no file of the system.
        return True
    return bool(ready)
