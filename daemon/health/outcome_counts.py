"""Counts of the outcomes that this service has given, for progress, summary and status line."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from daemon.image.records import LATER_RUN, Dropped, Finished, Postponed, Unchanged, Verdict
from daemon.image.watch_folder import WatchFolder
from daemon.system.clock import Clock
from edge.status import Status


class OutcomeCounts:
    """Counts by outcome. Safe to use from several threads.

    `expected` is how many images will have an outcome at the end of `once`; None: not known yet.
    """

    def __init__(
        self, watch_folders: Mapping[int, WatchFolder], *, clock: Clock = time.monotonic
    ) -> None:
        self.expected: int | None = None
        self._watch_folders = watch_folders
        self._without_ids = 0
        self._unfamiliar = 0
        self._left = 0
        self._clock = clock
        self._started_s = clock()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Count verdicts that are in the journal."""
        with self._lock:
            for verdict in verdicts:
                if isinstance(verdict, Finished):
                    self._counts[verdict.outcome.status] += 1
                    familiarity = verdict.outcome.familiarity
                    self._unfamiliar += familiarity is not None and not familiarity.passes
                    version = verdict.image.version
                    self._without_ids += self._watch_folders[version.folder_id].lacks_ids(
                        version.path
                    )
                elif isinstance(verdict, Dropped):
                    self._counts[verdict.state] += 1
                elif isinstance(verdict, Unchanged):
                    self._counts["unchanged"] += 1
                elif isinstance(verdict, Postponed):
                    self._left += verdict.delay_s == LATER_RUN

    @property
    def left(self) -> int:
        """Images left for a later run: another program holds them, or their share has errors."""
        return self._left

    @property
    def finished(self) -> int:
        """Images that got an outcome or kept theirs."""
        return sum(self._counts[status] for status in (*Status, "unchanged"))

    @property
    def rejected(self) -> int:
        """Images that were rejected."""
        return self._counts[Status.REJECTED]

    def seconds(self) -> float:
        """Seconds since the count began."""
        return self._clock() - self._started_s

    def text(self) -> str:
        """For example `790 labelled, 0 unidentified, 1 rejected`."""
        outcomes = [f"{self._counts[status]} {status}" for status in Status]
        others = {name: self._counts[name] for name in ("unchanged", "gone")}
        others["of them unlike the laboratory's"] = self._unfamiliar
        others["without ids"] = self._without_ids
        return ", ".join([*outcomes, *(f"{n} {what}" for what, n in others.items() if n)])

    def summary(self) -> str:
        """Counts, rate and time, for people."""
        if not self.finished:
            return f"{self.text()}\nnothing new to label"
        return f"{self.text()}\n{self.rate():.1f} images/s in {self.seconds():.1f} s"

    def to_dict(self) -> dict[str, float]:
        """Counts, rate and time, as JSON types."""
        with self._lock:
            counts = {str(status): self._counts[status] for status in Status}
            unchanged, gone = self._counts["unchanged"], self._counts["gone"]
        seconds = self.seconds()
        rate = (sum(counts.values()) + unchanged) / max(seconds, 1e-9)
        return {
            **counts,
            "unchanged": unchanged,
            "gone": gone,
            "unfamiliar": self._unfamiliar,
            "without_ids": self._without_ids,
            "left": self._left,
            "seconds": round(seconds, 3),
            "images_per_second": round(rate, 1),
        }

    def rate(self) -> float:
        """Finished images per second."""
        return self.finished / max(self.seconds(), 1e-9)
