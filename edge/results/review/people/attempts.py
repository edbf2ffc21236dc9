"""Wrong PINs: after a few, each further one makes the next attempt wait twice as long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FIRST_WAIT_S: Final = 30.0
_LONGEST_WAIT_S: Final = 900.0
# After so long without an attempt, not counting waits, a wrong PIN less is counted. People mistype
# a few an hour; who guesses gets four tries an hour in the end.
_FORGET_S: Final = 300.0


class Attempts:
    """Counts wrong PINs: of one person, or of all.

    They are kept in memory alone: who may start the page anew may read the hashes as well.
    """

    def __init__(self, free: int, clock: Callable[[], float]) -> None:
        """Nobody has tried yet.

        Args:
            free: so many wrong PINs make nobody wait.
            clock: seconds, never going back.
        """
        self._free = free
        self._clock = clock
        self._wrong = 0
        self._counted_at = clock()
        self._blocked_until = self._counted_at

    @property
    def wait_s(self) -> float:
        """How long the next attempt has to wait; 0: not at all."""
        return max(0.0, self._blocked_until - self._clock())

    def begin(self) -> None:
        """Count an attempt, as a wrong one until `right`: several at once must not pass uncounted.

        Call it only where `wait_s` is 0.
        """
        self._forget()
        self._wrong += 1
        if (more := self._wrong - self._free) >= 0:
            wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(more, 10))
            self._blocked_until = self._clock() + wait
        self._counted_at = max(self._clock(), self._blocked_until)

    def right(self, *, forgets_all: bool) -> None:
        """The attempt was none with a wrong PIN.

        Args:
            forgets_all: of the person, whose own PIN it was; not of all people, as somebody who
                knows one PIN could go on guessing the others.
        """
        self._wrong = 0 if forgets_all else max(0, self._wrong - 1)
        # From the last free one on, there is one attempt at a time: the wait is of this one.
        self._blocked_until = self._clock()

    def _forget(self) -> None:
        forgotten = int((self._clock() - self._counted_at) / _FORGET_S)
        self._wrong = max(0, self._wrong - max(0, forgotten))
