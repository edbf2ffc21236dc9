"""When sidecars cannot be written: which folders refuse, what is said, and what is let go of."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.folder_lock import FolderLocks
from daemon.health import Health
from daemon.retry import RetryPolicy
from daemon.settle import Clock
from edge.errors import StorageError

log = logging.getLogger(__name__)

# On a disk at its brim sidecars fail and succeed by turns: the same reason is said this often.
_QUIET_S: Final = 60.0
# Folders whose delays are remembered. Any others begin with the first delay again.
_MAX_FOLDERS: Final = 10_000
# After so many of the longest delays a folder has nothing that is tried again.
_LONG_DELAYS: Final = 10


@dataclass(frozen=True, slots=True)
class _Refusal:
    failures: int
    at_s: float


class ResultsTrouble:
    """Whether sidecars can be written, and who is told. Safe to use from any thread.

    Trouble begins when a folder refuses and ends when any folder takes its sidecars. One that
    goes on refusing while others take theirs is no trouble of its own: it has its growing delays,
    and health names it.
    """

    def __init__(
        self,
        locks: FolderLocks,
        health: Health,
        policy: RetryPolicy,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._locks = locks
        self._health = health
        self._policy = policy
        self._clock = clock
        # Beginning and end come in the order of what they follow from.
        self._order = threading.Lock()
        # In the order of the last failure.
        self._refusing: dict[Path, _Refusal] = {}
        self._written_s = float("-inf")
        self._is_on = False
        self._beginnings = 0
        self._is_said = False
        self._said: tuple[str | None, float] = (None, float("-inf"))
        self._has_lost_lock = False

    @property
    def beginnings(self) -> int:
        """How often trouble has begun; asked before a write, and given to `written` after it."""
        return self._beginnings

    def refused(self, folder: Path, reason: str | None) -> float:
        """Note that sidecars cannot be written to a folder; gives how long its images wait."""
        with self._order:
            failures, is_known = self._count(folder)
            if not is_known or self._clock() - self._written_s > self._long_s:
                self._begin()
            if self._is_on:
                self._say(reason)
            self._tell_health()
        return self._policy.delay_s(failures)

    def written(self, folders: Collection[Path], beginnings: int) -> None:
        """Note that sidecars were written to these folders.

        Args:
            folders: that took them.
            beginnings: from before the write. One that trouble has overtaken proves nothing.

        Raises:
            StorageError: another daemon has taken the results meanwhile.
        """
        self._written_s = self._clock()
        if not (self._is_on or self._refusing):
            return
        with self._order:
            if beginnings != self._beginnings:
                return
            for folder in folders:
                self._refusing.pop(folder, None)
            if self._is_on:
                self._end()
            self._tell_health()

    def forget_old(self) -> None:
        """Forget folders whose images are gone: nothing was tried there for long. Never waits."""
        if self._refusing and self._order.acquire(blocking=False):
            try:
                self._drop_old()
                self._tell_health()
            finally:
                self._order.release()

    @property
    def _long_s(self) -> float:
        return _LONG_DELAYS * self._policy.max_delay_s

    def _count(self, folder: Path) -> tuple[int, bool]:
        """The folder's failures in a row, and whether it was known to refuse."""
        self._drop_old()
        before = self._refusing.pop(folder, None)
        failures = before.failures + 1 if before else 1
        self._refusing[folder] = _Refusal(failures, self._clock())
        return failures, before is not None

    def _drop_old(self) -> None:
        oldest_s = self._clock() - self._long_s
        while self._refusing:
            folder, refusal = next(iter(self._refusing.items()))
            if refusal.at_s > oldest_s and len(self._refusing) < _MAX_FOLDERS:
                break
            del self._refusing[folder]

    def _begin(self) -> None:
        if not self._is_on:
            self._is_on = True
            self._beginnings += 1
            self._locks.let_go()

    def _end(self) -> None:
        try:
            self._locks.take()
        except StorageError as error:
            if not self._has_lost_lock:
                log.error("%s", error)  # noqa: TRY400 - one line
            self._has_lost_lock = True
            raise
        self._is_on = self._has_lost_lock = False
        if self._is_said:
            log.warning("sidecars can be written again")
        self._is_said = False

    def _say(self, reason: str | None) -> None:
        said, at_s = self._said
        if self._is_said or (reason == said and self._clock() - at_s < _QUIET_S):
            return
        # Without the error's own text, which holds the image's path.
        log.error("sidecars cannot be written (%s); their images wait until they can", reason)
        self._is_said, self._said = True, (reason, self._clock())

    def _tell_health(self) -> None:
        what = "sidecars" if self._is_on else "sidecars of some folders"
        is_ok = not (self._is_on or self._refusing)
        reason = f"{what} cannot be written; their images wait"
        self._health.set("results", ok=is_ok, reason=reason, is_vital=False)
