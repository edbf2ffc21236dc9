"""Outages: when sidecars cannot be written, which folders refuse, and when to try again."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.health.health import Health
from daemon.results.destination import Destination
from daemon.system.clock import Clock
from edge.errors import StorageError
from edge.retry.policy import RetryPolicy

log = logging.getLogger(__name__)

# One image of a folder that refuses, its probe, is tried this often while the others wait.
_PROBE_S: Final = 2.0
# Most probes in this time, over all folders: each labels an image for nothing.
_PROBES: Final = 8
# An outage ends when nothing was refused for this many probe intervals.
_CALM: Final = 1.25
# An almost full disk refuses now and then: the same reason is logged at most this often.
_QUIET_S: Final = 60.0
# Most folders remembered; others begin with the first delay again.
_MAX_FOLDERS: Final = 10_000
# A folder is forgotten after so many of the longest delays, as no image is tried there any more.
_LONG_DELAYS: Final = 10


@dataclass(slots=True)
class _Refusal:
    failures: int
    at_s: float
    probe_s: float


class Outage:
    """Whether sidecars can be written now. Safe to use from any thread.

    An outage begins when a folder refuses sidecars that did not refuse before, or when any does
    after a long time without a success. During it one image of each folder, the probe, is tried
    every two seconds, or less often where many folders take turns; the others wait until a folder
    that refused takes sidecars. The outage ends
    when sidecars were written and none was refused for a little longer than a probe's interval. A
    folder that goes on refusing while others work is no outage: only the health shows it.
    """

    def __init__(
        self,
        destination: Destination,
        health: Health,
        policy: RetryPolicy,
        on_recovered: Callable[[], object],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """Begin without an outage.

        Args:
            destination: its locks are released during an outage, so that the disk can be unmounted.
            health: shows the outage.
            policy: the delays of images.
            on_recovered: sets the images that wait to be tried now.
            clock: monotonic seconds.
        """
        self._destination = destination
        self._health = health
        self._policy = policy
        self._on_recovered = on_recovered
        self._clock = clock
        # Held while the state changes and is logged, so that log lines come in the right order.
        self._order = threading.Lock()
        # In the order of the last failure.
        self._refusing: dict[Path, _Refusal] = {}
        # A heap of the times of the latest probes.
        self._probes = [float("-inf")] * _PROBES
        self._written_s = self._recovered_s = float("-inf")
        # When a folder that refused was last written to.
        self._relieved_s = float("-inf")
        # The last refusal, and the last by a folder that did not refuse before.
        self._refused_s = self._begun_s = float("-inf")
        self._is_active = False
        self._is_logged = False
        # Reason and time of the last log line.
        self._last_logged: tuple[str | None, float] = (None, float("-inf"))
        self._has_lost_lock = False

    def begin_write(self, folders: Collection[Path]) -> float:
        """Take the locks again if an outage has released them; returns the time, for `written`.

        Args:
            folders: the folders that are written to.

        Raises:
            InUseError: another daemon has locked the results meanwhile.
            StorageError: the folders cannot be locked.
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
        """Note that a folder refused sidecars; returns the seconds that its image waits."""
        with self._order:
            now_s = self._refused_s = self._clock()
            refusal, is_known = self._count(folder, now_s)
            if not is_known or now_s - self._written_s > self._long_s:
                self._is_active, self._begun_s = True, now_s
            if self._is_active:
                self._destination.release()
                self._log_once(reason)
            self._update_health()
            return self._delay_s(refusal, now_s)

    def written(self, folders: Collection[Path], since_s: float) -> None:
        """Note that sidecars were written to these folders.

        Args:
            folders: the folders written to.
            since_s: the result of `begin_write` before the write. If a folder refused since then,
                this success does not end the outage.
        """
        if not (self._is_active or self._refusing):
            self._written_s = self._clock()
            return
        with self._order:
            if self._is_active and since_s < self._refused_s:
                return
            self._written_s = self._clock()
            known = len(self._refusing)
            for folder in folders:
                self._refusing.pop(folder, None)
            if len(self._refusing) < known:
                self._relieved_s = self._written_s
            self._retry_waiting()
            self._end_if_over()
            self._update_health()

    def review(self) -> None:
        """End an outage that is over, and forget old folders. Never waits."""
        has_work = self._is_active or self._refusing or self._owes_retry
        if has_work and self._order.acquire(blocking=False):
            try:
                self._drop_old()
                self._retry_waiting()
                self._end_if_over()
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
        """Count a failure of a folder; returns its failures, and whether there were any before."""
        self._drop_old()
        before = self._refusing.pop(folder, None)
        refusal = before or _Refusal(0, now_s, now_s)
        refusal.failures, refusal.at_s = refusal.failures + 1, now_s
        self._refusing[folder] = refusal
        return refusal, before is not None

    def _delay_s(self, refusal: _Refusal, now_s: float) -> float:
        """Seconds that the refused image waits: few if it becomes its folder's probe."""
        delay_s = min(self._policy.delay_s(refusal.failures), self._probe_s)
        # With many folders their probes take turns: without one, a folder would wait its longest
        # delay although it takes sidecars again.
        probe_s = max(now_s + delay_s, self._probes[0] + self._probe_s)
        if refusal.probe_s > now_s or probe_s - now_s > self._policy.max_delay_s:
            return self._policy.max_delay_s
        refusal.probe_s = probe_s
        heapq.heapreplace(self._probes, probe_s)
        return probe_s - now_s

    def _drop_old(self) -> None:
        oldest_s = self._clock() - self._long_s
        while self._refusing:
            folder, refusal = next(iter(self._refusing.items()))
            if refusal.at_s > oldest_s and len(self._refusing) < _MAX_FOLDERS:
                break
            del self._refusing[folder]

    @property
    def _owes_retry(self) -> bool:
        return self._recovered_s < self._relieved_s + self._probe_s

    def _retry_waiting(self) -> None:
        """Have the waiting images tried after a folder takes sidecars again.

        At most once per probe interval, and once more an interval later: an image that was refused
        at the same moment, or in the same batch, is recorded as waiting only after the first time.
        """
        if self._owes_retry and self._clock() - self._recovered_s >= self._probe_s:
            self._recovered_s = self._clock()
            self._on_recovered()

    def _end_if_over(self) -> None:
        is_calm = self._clock() - self._begun_s > _CALM * self._probe_s
        if self._is_active and is_calm and self._written_s > self._refused_s:
            self._is_active = False
            if self._is_logged:
                log.warning("sidecars can be written again")
            self._is_logged = False

    def _log_once(self, reason: str) -> None:
        last_reason, at_s = self._last_logged
        if self._is_logged or (reason == last_reason and self._clock() - at_s < _QUIET_S):
            return
        # Without the error's own text, which holds the image's path.
        log.error("sidecars cannot be written (%s); their images wait until they can", reason)
        self._is_logged, self._last_logged = True, (reason, self._clock())

    def _update_health(self) -> None:
        what = "sidecars" if self._is_active else "sidecars of some folders"
        is_ok = not (self._is_active or self._refusing)
        reason = f"{what} cannot be written; their images wait"
        self._health.set("results", ok=is_ok, reason=reason, is_vital=False)
