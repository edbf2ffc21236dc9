"""Delivers what the outbox holds for one target, one message at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.results.send.config import Target
from edge.results.send.outbox.entry import Entry
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.targets.answer import outgoing
from edge.results.send.targets.attempt import Attempt, Fate
from edge.results.send.targets.drop import DropFolder
from edge.results.send.targets.mllp import LEARN_S, MOST_COUNTED, MllpSender


@dataclass(frozen=True, slots=True)
class _Unclear:
    """What is known of a message that gets no valid answer.

    Attributes:
        times: attempts without one.
        answers: valid answers to any message, up to the last attempt.
    """

    times: int
    answers: int


class Delivery:
    """The way to one target.

    While the target is away everything waits, without counting against any message: a weekend
    without the LIS holds nothing back. A message that gets no valid answer (garbage, one that names
    another message, a closed connection, none in time) is tried after pauses of its own. Such an
    attempt is a failure only if the target has answered other messages since the one before: a
    proxy takes connections also while the LIS behind it is away.

    Attributes:
        goes_on: whether this process lives until what failed is tried again, for its lines.
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
        self.goes_on = True
        self._answers = 0
        self._unclear: dict[int, _Unclear] = {}
        self._taken: dict[bytes, Entry] = {}
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
        # First: what a late refusal holds must not be overtaken.
        self.hold_late()
        if self._clock() < self._ready_s:
            return False
        entry = self._outbox.next_due(self._target.name, self._clock())
        if entry is None:
            return False
        content = self._outbox.begin(entry)
        if content is not None:
            attempt = self._attempt(entry, content)
            self._note(entry, attempt)
            if self._mllp is not None and attempt.fate is Fate.DONE:
                self._taken[outgoing(content).control_id] = entry
                if len(self._taken) > MOST_COUNTED:
                    del self._taken[next(iter(self._taken))]
        return True

    def hold_late(self, *, is_end: bool = False) -> None:
        """Hold what the receiver refused after it had counted as received.

        Args:
            is_end: wait a little for such answers, as nobody will read them later.
        """
        if self._mllp is None:
            return
        for control_id, attempt in self._mllp.late(LEARN_S if is_end else 0.0):
            if (entry := self._taken.pop(control_id, None)) is not None:
                self._hold(entry, attempt, attempt.told)

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
        if attempt.fate is Fate.UNCLEAR:
            self._note_unclear(entry, attempt)
            return
        if self._times_away:
            self._tell(f"{self._target.name}: is back")
            self._times_away = 0
        self._answers += 1
        self._unclear.pop(entry.id, None)
        self._ready_s = self._clock() + self._target.pause_s
        if attempt.fate is Fate.DONE:
            self._outbox.done(entry, attempt.told)
            self._tell(f"{self._target.name}: sent {entry.title}")
        elif attempt.fate is Fate.AGAIN:
            delay_s = self._target.retries.delay_s(entry.failures + 1)
            self._fail(entry, attempt, attempt.told, delay_s)
        else:
            self._hold(entry, attempt, attempt.told)

    def _note_away(self, entry: Entry, attempt: Attempt, *, next_s: float = 0.0) -> None:
        self._times_away += 1
        delay_s = self._target.retries.delay_s(self._times_away)
        self._outbox.try_again(entry, next_s, attempt.told)
        self._ready_s = self._clock() + delay_s
        if self._times_away == 1:
            until = "tried until it works" if self.goes_on else "tried again at the next start"
            self._tell(f"{self._target.name}: {attempt.told}; {until}")

    def _note_unclear(self, entry: Entry, attempt: Attempt) -> None:
        """Wait with the target, which may be away behind a proxy, and longer with this message."""
        before = self._unclear.get(entry.id)
        times = before.times + 1 if before else 1
        self._unclear[entry.id] = _Unclear(times, self._answers)
        delay_s = self._target.retries.delay_s(times)
        if before and before.answers < self._answers:
            self._ready_s = self._clock() + self._target.retries.first_delay_s
            told = f"{attempt.told}, {times} times, while other messages were answered"
            self._fail(entry, attempt, told, delay_s)
        else:
            self._note_away(entry, attempt, next_s=self._clock() + delay_s)

    def _fail(self, entry: Entry, attempt: Attempt, told: str, delay_s: float) -> None:
        """Count a failure of a message, which is held after a number of these."""
        if self._target.retries.is_exhausted(entry.failures + 1):
            self._hold(entry, attempt, told)
            return
        next_s = self._clock() + delay_s
        self._outbox.try_again(entry, next_s, told, attempt.detail, is_failure=True)
        again = f"tried again in {delay_s:g} s" if self.goes_on else "tried again at the next start"
        self._tell(f"{self._target.name}: {entry.title}: {told}, {again}")

    def _hold(self, entry: Entry, attempt: Attempt, told: str) -> None:
        self._unclear.pop(entry.id, None)
        self._outbox.hold(entry, told, attempt.detail)
        self._tell(f"{self._target.name}: held {entry.title}: {told}")
