"""Shows a step's progress: one rewritten line on a terminal, a line every 5 s elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Protocol, Self

from edge.text.printable import printable

# Shorter steps show no line.
SHOW_AFTER_S: Final = 1.0
TERMINAL_INTERVAL_S: Final = 0.2
LOG_INTERVAL_S: Final = 5.0
# Control sequences of terminals (ECMA-48, DEC VT100). A text that is wider than the terminal must
# not wrap: each rewriting would leave a line behind.
_CLEAR_LINE: Final = "\x1b[K"
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"


class Screen(Protocol):
    """Where progress is shown: a text stream or a substitute for one."""

    def write(self, text: str, /) -> object:
        """Write text, perhaps into a buffer."""

    def flush(self) -> None:
        """Show the written text now."""

    def isatty(self) -> bool:
        """Whether it is a terminal, on which a line can be rewritten."""


class Progress:
    """Counts of one step on `stream`: rewritten on a terminal, a line every 5 s elsewhere.

    Use it in a `with` block and call `update`; the last state is printed at the end.
    """

    def __init__(
        self,
        what: str,
        stream: Screen,
        *,
        is_time: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A line on `stream`.

        Args:
            what: the step.
            is_time: seconds are counted, which have no rate.
        """
        self._what, self._stream, self._clock = printable(what), stream, clock
        self._is_time = is_time
        self._is_terminal = stream.isatty()
        self._next_s = clock() + SHOW_AFTER_S
        # Time and count of the first update. The rate is computed from here, because the time
        # before is spent on work that is done once, such as opening files.
        self._first: tuple[float, int] | None = None
        self._last: tuple[int, int | None] | None = None
        self._shown: tuple[int, int | None] | None = None

    def __enter__(self) -> Self:
        return self

    def update(self, done: int, total: int | None = None) -> None:
        """Set how much is done; `total` is None if it is not known."""
        now = self._clock()
        # A step that starts again gets a new rate.
        if self._first is None or (self._last and done < self._last[0]):
            self._first = (now, done)
        self._last = (done, total)
        if now >= self._next_s:
            interval = TERMINAL_INTERVAL_S if self._is_terminal else LOG_INTERVAL_S
            self._next_s = now + interval
            self._show(now)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            if self._shown != self._last:
                self._show(self._clock())
            if self._is_terminal:
                self._stream.write("\n")
                self._stream.flush()

    def _show(self, now: float) -> None:
        if self._last is None or self._first is None:
            return
        done, total = self._last
        text = f"{self._what}: {done}" + (f" of {total}" if total is not None else "")
        elapsed_s, counted = now - self._first[0], done - self._first[1]
        if elapsed_s > 0 and counted > 0 and not self._is_time:
            rate = counted / elapsed_s
            text += f", {rate:.0f}/s" if rate >= 1 else f", {1 / rate:.0f} s each"
            if total and done < total:
                text += f", {(total - done) / rate:.0f} s left"
        if self._is_terminal:
            self._stream.write(f"\r{_CLEAR_LINE}{_WRAP_OFF}{text}{_WRAP_ON}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()
        self._shown = self._last


class StepProgress(ExitStack):
    """One progress line per step; a new step ends the line of the one before."""

    def __init__(self, stream: Screen, *, times: Collection[str] = ()) -> None:
        """Lines on `stream`.

        Args:
            times: the steps that count seconds.
        """
        super().__init__()
        self._stream, self._times = stream, times
        self._step: str | None = None
        self._line: Progress | None = None

    def update(self, step: str, done: int, total: int) -> None:
        """Set how much of a step is done."""
        if step != self._step or self._line is None:
            self.close()
            line = Progress(step, self._stream, is_time=step in self._times)
            self._step, self._line = step, self.enter_context(line)
        self._line.update(done, total)
