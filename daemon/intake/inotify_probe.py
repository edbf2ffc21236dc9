"""A file in the state folder whose events show that inotify's events arrive."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Final

from watchdog.events import FileClosedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver

from daemon.system.clock import Clock
from edge.system.mounts import is_on_share

log = logging.getLogger(__name__)

# After so many touches without an event, a second apart, the watch counts as dead. Counted, not
# timed, as a process that was stopped for a while has missed nothing.
MAX_MISSED: Final = 3
PROBE_NAME: Final = "canary"


class InotifyProbe(FileSystemEventHandler):
    """The probe of one watch: `touch` causes an event, `dispatch` receives it.

    The file is in the state folder, as nothing is written to a watch folder. On a file system
    without events it is not used; then only the threads are checked.
    """

    def __init__(self, state_dir: Path, name: str, *, clock: Clock = time.monotonic) -> None:
        self.last_seen_s: float | None = None
        self._folder = state_dir / PROBE_NAME / name
        self._clock = clock
        self._is_watched = False
        self._has_proof = False
        self._missed = 0
        self._has_warned = False

    @property
    def is_missed(self) -> bool:
        """Whether the last touches brought no event."""
        return self._missed >= MAX_MISSED

    @property
    def is_useless(self) -> bool:
        """Whether no touch has brought an event since the watch began."""
        return self.is_missed and not self._has_proof

    def join(self, observer: BaseObserver) -> None:
        """Have this observer watch the probe as well."""
        self._missed = 0
        self._has_proof = False
        self._is_watched = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._warn_once(f"cannot be written ({error.strerror})")
            return
        if is_on_share(self._folder):
            self._warn_once("is on a file system without events")
            return
        observer.schedule(self, str(self._folder), event_filter=[FileClosedEvent])
        self._is_watched = True

    def touch(self) -> None:
        """Cause an event, and count it as missed until it is seen."""
        if not self._is_watched:
            return
        # Counted first, as the event may arrive before the next line.
        self._missed += 1
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            os.close(os.open(self._folder / ".touched", flags, 0o600))
        except OSError as error:
            self._missed -= 1
            self._warn_once(f"cannot be written ({error.strerror})")

    def dispatch(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - any event will do
        """Note that an event has arrived."""
        self.last_seen_s = self._clock()
        self._has_proof = True
        self._missed = 0

    def _warn_once(self, why: str) -> None:
        if not self._has_warned:
            log.warning("state_dir %s, so it is not checked whether inotify reports new files", why)
        self._has_warned = True
