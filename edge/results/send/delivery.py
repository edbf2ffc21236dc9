"""Delivers what the outbox holds for one target, one message at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edge.results.send.config import Target
from edge.results.send.outbox.entry import Entry
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.targets.attempt import Attempt, Fate
from edge.results.send.targets.drop import DropFolder
from edge.results.send.targets.mllp import MllpSender


class Delivery:
    """The way to one target.

    While the target is away everything waits, without counting against any message: a weekend
    without the LIS holds nothing back.
    """

    def __init__(
        self,
        target: Target,
        outbox: Outbox,
        tell: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._outbox = outbox
        self._tell = tell
        self._clock = clock
        self._ready_s = 0.0
        self._times_away = 0
        place = target.place
        self._drop = DropFolder(place) if isinstance(place, Path) else None
        self._mllp = None if isinstance(place, Path) else MllpSender(place)
        if self._drop is not None:
            self._drop.remove_leftovers()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._mllp is not None:
            self._mllp.close()

    def take_turn(self) -> bool:
        """Make one attempt, if one is due; returns whether it was."""
        if self._clock() < self._ready_s:
            return False
        entry = self._outbox.next_due(self._target.name, self._clock())
        if entry is None:
            return False
        content = self._outbox.begin(entry)
        self._note(entry, self._attempt(entry, content))
        return True

    def wait_s(self) -> float | None:
        """The seconds until the next attempt is due; None if nothing is queued."""
        next_s = self._outbox.next_try_s(self._target.name)
        if next_s is None:
            return None
        return max(0.0, next_s - self._clock(), self._ready_s - self._clock())

    def _attempt(self, entry: Entry, content: bytes) -> Attempt:
        if self._drop is not None:
            return self._drop.put(entry.name, content)
        assert self._mllp is not None  # noqa: S101 - one of both is there
        return self._mllp.send(content)

    def _note(self, entry: Entry, attempt: Attempt) -> None:
        if attempt.fate is Fate.AWAY:
            self._note_away(entry, attempt)
            return
        if self._times_away:
            self._tell(f"{self._target.name}: is back")
            self._times_away = 0
        self._ready_s = self._clock() + self._target.pause_s
        failures = entry.failures + 1
        if attempt.fate is Fate.DONE:
            self._outbox.done(entry, attempt.told)
            self._tell(f"{self._target.name}: sent {entry.title}")
        elif attempt.fate is Fate.AGAIN and not self._target.retries.is_exhausted(failures):
            delay_s = self._target.retries.delay_s(failures)
            next_s = self._clock() + delay_s
            self._outbox.try_again(entry, next_s, attempt.told, attempt.detail, is_failure=True)
            told = f"{attempt.told}, tried again in {delay_s:g} s"
            self._tell(f"{self._target.name}: {entry.title}: {told}")
        else:
            self._outbox.hold(entry, attempt.told, attempt.detail)
            self._tell(f"{self._target.name}: held {entry.title}: {attempt.told}")

    def _note_away(self, entry: Entry, attempt: Attempt) -> None:
        self._times_away += 1
        delay_s = self._target.retries.delay_s(self._times_away)
        self._outbox.try_again(entry, 0.0, attempt.told)
        self._ready_s = self._clock() + delay_s
        if self._times_away == 1:
            self._tell(f"{self._target.name}: {attempt.told}; tried until it works")
