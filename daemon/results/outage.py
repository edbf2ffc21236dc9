"""When sidecars cannot be written: which folders refuse, what is said, and what is let go of."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.config.retry_policy import RetryPolicy
from daemon.health.health import Health
from daemon.results.destination import Destination
from daemon.system.clock import Clock
from edge.errors import StorageError

log = logging.getLogger(__name__)

# Of a folder that refuses, one image is tried this often while the others wait.
_PROBE_S: Final = 2.0
# In so many folders at once: each try labels an image in vain.
_PROBES: Final = 8
# Without a new refusal for longer than a probe waits, trouble is over.
_CALM: Final = 1.25
# A disk at its brim goes on refusing now and then: the same reason is said this often.
_QUIET_S: Final = 60.0
# Folders that are remembered. Any others begin with the first delay again.
_MAX_FOLDERS: Final = 10_000
# After so many of the longest delays a folder has nothing that is tried again.
_LONG_DELAYS: Final = 10


@dataclass(slots=True)
class _Refusal:
    failures: int
    at_s: float
    probe_s: float


class Outage:
    """Whether sidecars can be written, and who is told. Safe to use from any thread.

    Trouble begins when a folder refuses. While it lasts one image of a folder is tried at short
    intervals, and the others wait until a folder that refused takes its sidecars. It ends when
    some were written and no other folder refused for longer than such an interval. A folder that
    goes on refusing while others take theirs is no trouble of its own: health names it.
    """

    def __init__(
        self,
        destination: Destination,
        health: Health,
        policy: RetryPolicy,
        on_freed: Callable[[], object],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """Know of none.

        Args:
            destination: whose locks are released while nothing can be written there.
            health: told.
            policy: how long images wait.
            on_freed: has the images that wait tried now.
            clock: monotonic.
        """
        self._destination = destination
        self._health = health
        self._policy = policy
        self._on_freed = on_freed
        self._clock = clock
        # Beginning and end come in the order of what they follow from.
        self._order = threading.Lock()
        # In the order of the last failure.
        self._refusing: dict[Path, _Refusal] = {}
        self._probes: deque[float] = deque([float("-inf")] * _PROBES, _PROBES)
        self._written_s = self._freed_s = float("-inf")
        # The last refusal, and the last by a folder that was not known to refuse.
        self._refused_s = self._begun_s = float("-inf")
        self._is_on = False
        self._is_said = False
        self._said: tuple[str | None, float] = (None, float("-inf"))
        self._has_lost_lock = False

    def begin_write(self, folders: Collection[Path]) -> float:
        """Hold the locks, which trouble lets go of; gives the time, for `written`.

        Args:
            folders: that are written to.

        Raises:
            InUseError: another daemon has taken the results meanwhile.
            StorageError: they cannot be held.
        """
        try:
            self._destination.hold(folders)
        except StorageError as error:
            if not self._has_lost_lock:
                log.error("%s", error)  # noqa: TRY400 - one line
            self._has_lost_lock = True
            raise
        self._has_lost_lock = False
        return self._clock()

    def refused(self, folder: Path, reason: str) -> float:
        """Note that sidecars cannot be written to a folder; gives how long its image waits."""
        with self._order:
            now_s = self._refused_s = self._clock()
            refusal, is_known = self._count(folder, now_s)
            if not is_known or now_s - self._written_s > self._long_s:
                self._is_on, self._begun_s = True, now_s
            if self._is_on:
                self._destination.release()
                self._say(reason)
            self._update_health()
            return self._delay_s(refusal, now_s)

    def written(self, folders: Collection[Path], since_s: float) -> None:
        """Note that sidecars were written to these folders.

        Args:
            folders: that took them.
            since_s: when the write began. One that trouble has overtaken proves nothing.
        """
        if not (self._is_on or self._refusing):
            self._written_s = self._clock()
            return
        with self._order:
            if self._is_on and since_s < self._refused_s:
                return
            self._written_s = self._clock()
            known = len(self._refusing)
            for folder in folders:
                self._refusing.pop(folder, None)
            if len(self._refusing) < known:
                self._free()
            self._end_if_calm()
            self._update_health()

    def review(self) -> None:
        """End what is over, and forget folders whose images are gone. Never waits."""
        if (self._is_on or self._refusing) and self._order.acquire(blocking=False):
            try:
                self._drop_old()
                self._end_if_calm()
                self._update_health()
            finally:
                self._order.release()

    @property
    def _long_s(self) -> float:
        return _LONG_DELAYS * self._policy.max_delay_s

    @property
    def _probe_s(self) -> float:
        return min(_PROBE_S, self._policy.max_delay_s)

    def _count(self, folder: Path, now_s: float) -> tuple[_Refusal, bool]:
        """The folder's failures in a row, and whether it was known to refuse."""
        self._drop_old()
        before = self._refusing.pop(folder, None)
        refusal = before or _Refusal(0, now_s, now_s)
        refusal.failures, refusal.at_s = refusal.failures + 1, now_s
        self._refusing[folder] = refusal
        return refusal, before is not None

    def _delay_s(self, refusal: _Refusal, now_s: float) -> float:
        """How long the image waits that was refused: briefly, where it is its folder's probe."""
        if refusal.probe_s > now_s or self._probes[0] > now_s - self._probe_s:
            return self._policy.max_delay_s
        delay_s = min(self._policy.delay_s(refusal.failures), self._probe_s)
        refusal.probe_s = now_s + delay_s
        self._probes.append(now_s)
        return delay_s

    def _drop_old(self) -> None:
        oldest_s = self._clock() - self._long_s
        while self._refusing:
            folder, refusal = next(iter(self._refusing.items()))
            if refusal.at_s > oldest_s and len(self._refusing) < _MAX_FOLDERS:
                break
            del self._refusing[folder]

    def _free(self) -> None:
        """Have the images that wait tried now; not for each that a disk at its brim takes."""
        if self._clock() - self._freed_s >= self._probe_s:
            self._freed_s = self._clock()
            self._on_freed()

    def _end_if_calm(self) -> None:
        is_calm = self._clock() - self._begun_s > _CALM * self._probe_s
        if self._is_on and is_calm and self._written_s > self._refused_s:
            self._is_on = False
            if self._is_said:
                log.warning("sidecars can be written again")
            self._is_said = False

    def _say(self, reason: str) -> None:
        said, at_s = self._said
        if self._is_said or (reason == said and self._clock() - at_s < _QUIET_S):
            return
        # Without the error's own text, which holds the image's path.
        log.error("sidecars cannot be written (%s); their images wait until they can", reason)
        self._is_said, self._said = True, (reason, self._clock())

    def _update_health(self) -> None:
        what = "sidecars" if self._is_on else "sidecars of some folders"
        is_ok = not (self._is_on or self._refusing)
        reason = f"{what} cannot be written; their images wait"
        self._health.set("results", ok=is_ok, reason=reason, is_vital=False)
