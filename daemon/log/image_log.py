"""Log lines about single images, which appear by their pseudonyms."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Final

from daemon.image.reading_errors import IN_USE, SHARE
from daemon.image.records import ClaimedImage, Dropped, Finished, Postponed, Verdict
from daemon.image.watch_folder import WatchFolder
from daemon.log.journald import Pseudonyms
from daemon.system.clock import Clock
from edge.errors import RejectReason
from edge.status import Status

log = logging.getLogger(__name__)

# Log lines about images that wait, by the beginning of their cause.
_HELD_UP: Final = {
    str(RejectReason.UNREADABLE): "the daemon's user may not read some images; they wait and are "
    "tried again. Give it the permission; edge-daemon status says how many wait",
    IN_USE: "other programs hold some images, so that they cannot be read; they wait and are tried "
    "again. edge-daemon status says how many wait",
    SHARE: "a share gives errors for some images; they wait and are tried again. edge-daemon "
    "status says which errors and how many wait",
}


class ImageLog:
    """Logs the verdicts on images without their paths. Safe to use from several threads.

    A cause that many images share is logged once, and again after it was absent for `quiet_s`.
    """

    def __init__(
        self,
        watch_folders: Mapping[int, WatchFolder],
        pseudonyms: Pseudonyms,
        *,
        quiet_s: float = 60.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._watch_folders = watch_folders
        self._pseudonyms = pseudonyms
        self._quiet_s = quiet_s
        self._clock = clock
        self._lock = threading.Lock()
        self._quiet_until_s = dict.fromkeys(_HELD_UP, 0.0)
        self._without_ids: set[int] = set()

    def log_verdicts(self, verdicts: list[Verdict]) -> None:
        """Log verdicts that are in the journal."""
        for verdict in verdicts:
            self._log(verdict)
        with self._lock:
            self._log_held_up(verdicts)
            self._log_without_ids(verdicts)

    def log_unexpected(self, image: ClaimedImage, error: Exception) -> None:
        """Log a bug: its traceback, but not the error's text, which may hold the image's path."""
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("image %s: unexpected %s\n%s", self._name(image), type(error).__name__, where)

    def _log(self, verdict: Verdict) -> None:
        level, what = _said(verdict)
        # The name is a hash, which a line that is not written need not wait for.
        if log.isEnabledFor(level):
            log.log(level, "image %s %s", self._name(verdict.image), what)

    def _log_held_up(self, verdicts: list[Verdict]) -> None:
        now_s = self._clock()
        causes = {verdict.cause for verdict in verdicts if isinstance(verdict, Postponed)}
        for start, text in _HELD_UP.items():
            if any(cause.startswith(start) for cause in causes):
                if now_s >= self._quiet_until_s[start]:
                    log.warning(text)
                self._quiet_until_s[start] = now_s + self._quiet_s

    def _log_without_ids(self, verdicts: list[Verdict]) -> None:
        for version in (v.image.version for v in verdicts if isinstance(v, Finished)):
            watch_folder = self._watch_folders[version.folder_id]
            if watch_folder.id not in self._without_ids and watch_folder.lacks_ids(version.path):
                self._without_ids.add(watch_folder.id)
                log.warning(
                    "watch folder %s: the path of an image does not match the template %s; the "
                    "sidecars of such images have no ids",
                    watch_folder.path,
                    watch_folder.sample.text if watch_folder.sample else None,
                )

    def _name(self, image: ClaimedImage) -> str:
        version = image.version
        return self._pseudonyms.of(self._watch_folders[version.folder_id].path, version.path)


def _said(verdict: Verdict) -> tuple[int, str]:
    """The level and the text of the line about a verdict."""
    match verdict:
        case Finished(outcome=outcome) if outcome.status is Status.REJECTED:
            return logging.INFO, f"rejected: {outcome.reason}"
        case Finished(outcome=outcome):
            return logging.DEBUG, str(outcome.status)
        case Postponed(attempts=attempts, cause=cause) if attempts > verdict.image.attempts:
            return logging.INFO, f"could not be labelled ({cause}), tried again later"
        case Postponed(delay_s=delay_s, cause=cause):
            return logging.DEBUG, f"waits {delay_s:.1f} s: {cause}"
        case Dropped(state=state):
            return logging.DEBUG, f"is {state}"
        case _:
            return logging.DEBUG, "is unchanged and keeps its outcome"
