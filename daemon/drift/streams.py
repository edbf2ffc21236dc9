"""Follows the stream of each watch folder, which is an analyzer, and says when its images change.

The journal keeps the state. This says it: in the log, in the health and its metrics, and in the
sidecars of the images that come during an alarm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from daemon.health.health import CAUSES, Health
from daemon.image.records import Finished, Verdict
from daemon.image.watch_folder import WatchFolder
from daemon.journal.journal import Journal
from daemon.journal.streams import Stream
from daemon.system.clock import Clock
from edge.text.rfc3339 import rfc3339
from edge.trust.drift import Drift

log = logging.getLogger(__name__)

# How often an alarm is looked up, which a person may have acknowledged meanwhile.
_REVIEW_S: Final = 5.0


class Streams:
    """The streams of one service's watch folders. Safe to use from several threads."""

    def __init__(
        self,
        journal: Journal,
        watch_folders: Mapping[int, WatchFolder],
        bundle_sha256: str,
        health: Health,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """Go on with what the journal holds.

        Args:
            journal: serves the watch folders.
            watch_folders: by the journal's ids, in the order of the configuration.
            bundle_sha256: of the bundle that labels; the drift of another one is not gone on with.
            health: shows the drift of each folder by its number.
            clock: monotonic seconds.
        """
        self._journal = journal
        self._watch_folders = watch_folders
        self._numbers = {id_: number for number, id_ in enumerate(watch_folders)}
        self._health = health
        self._clock = clock
        # Held while the journal concludes, so that states and log lines come in its order.
        self._lock = threading.Lock()
        self._drifts: dict[int, Drift] = {}
        self._damaged: set[int] = set()
        self._review_due_s = clock() + _REVIEW_S
        for stream in journal.streams():
            self._begin(stream, bundle_sha256)

    def conclude(self, verdicts: list[Verdict]) -> None:
        """As `Journal.conclude`; then say what has changed."""
        with self._lock:
            for stream in self._journal.conclude(verdicts):
                self._note(stream)

    def marked(self, finished: Finished) -> Finished:
        """The image with the time since when its folder's images look different, if they do."""
        drift = self._drifts.get(finished.image.version.folder_id)
        if drift is None or drift.since_s is None:
            return finished
        return replace(finished, drift_since_s=drift.since_s)

    def review(self) -> None:
        """Notice that a person has acknowledged an alarm, also where no image follows."""
        if self._clock() < self._review_due_s:
            return
        self._review_due_s = self._clock() + _REVIEW_S
        if any(drift.is_alarm for drift in tuple(self._drifts.values())):
            with self._lock:
                for stream in self._journal.streams():
                    self._note(stream)

    def _begin(self, stream: Stream, bundle_sha256: str) -> None:
        if stream.drift is None:
            self._note(stream)
        elif stream.bundle_sha256 == bundle_sha256:
            # An alarm has had its line in the log.
            self._set(stream.folder_id, stream.drift)
        else:
            # Stored at once: the journal is read again before the first cell, by `review`, by the
            # commands, and at a start with the earlier bundle.
            self._journal.begin_stream_anew(stream.folder_id, bundle_sha256)
            if stream.drift.since_s is not None:
                self._say_end(stream, stream.drift.since_s, "another bundle labels")

    def _note(self, stream: Stream) -> None:
        before = self._drifts.get(stream.folder_id, Drift())
        now = stream.drift or Drift()
        self._set(stream.folder_id, now)
        if stream.drift is None:
            self._say_damaged(stream)
            return
        # Only an acknowledgement begins the count of the cells anew.
        is_acknowledged = now.cells < before.cells + stream.added
        has_ended = before.is_alarm and (is_acknowledged or not now.is_alarm)
        if has_ended and before.since_s is not None:
            why = "a person acknowledged the change" if is_acknowledged else None
            self._say_end(stream, before.since_s, why)
        if now.since_s is not None and (has_ended or not before.is_alarm):
            text = "images of %s look different from the laboratory's since %s: %s"
            log.warning(text, self._folder(stream), moment(now.since_s), CAUSES)

    def _say_end(self, stream: Stream, since_s: float, why: str | None) -> None:
        folder, since = self._folder(stream), moment(since_s)
        if why is None:
            text = "images of %s look like the laboratory's again; they were different since %s"
            log.warning(text, folder, since)
        else:
            text = "images of %s are watched anew for drift, as %s; they were different since %s"
            log.warning(text, folder, why, since)

    def _say_damaged(self, stream: Stream) -> None:
        if stream.folder_id in self._damaged:
            return
        self._damaged.add(stream.folder_id)
        text = "the stored drift of %s is damaged; images are labelled, and it begins anew"
        log.error(text, self._folder(stream))

    def _set(self, folder_id: int, drift: Drift) -> None:
        self._drifts[folder_id] = drift
        self._health.set_drift(self._numbers[folder_id], drift)

    def _folder(self, stream: Stream) -> str:
        return str(self._watch_folders[stream.folder_id].path)


def moment(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in local time."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC).astimezone(), timespec="seconds")
