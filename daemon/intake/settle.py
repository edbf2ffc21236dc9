"""Waits until files are complete. Uses monotonic time and makes no calls to the file system.

A file that was renamed in, or closed after writing and whole, is recorded at once. All others are
complete when size and mtime have not changed for `settle_s`. The strict decode decides: a file that
is then not whole is tried once more after `grace_s`, then rejected.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from daemon.image.records import ImageVersion
from daemon.system.clock import Clock
from edge.failpoints import failpoint

Look: TypeAlias = Callable[[ImageVersion], ImageVersion | None]

# A stalled copy goes on or fails within the retries of TCP and SMB, 10 to 20 seconds; with the
# default settle_s of 2 the grace period is 20 s. A file that is completed later is a new version
# and is labelled then: the grace period only avoids a temporary rejection.
GRACE_FACTOR: Final = 10

# An analyzer writes a few files at a time. During a larger bulk copy the scan waits for files to
# settle.
CAPACITY: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Unsettled:
    version: ImageVersion
    quiet_since_s: float
    first_seen_s: float


class SettleTracker:
    """Files that may still be written to."""

    def __init__(
        self, settle_s: float, *, clock: Clock = time.monotonic, wall_clock: Clock = time.time
    ) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._wall_clock = wall_clock
        # In order of quiet_since_s, because a changed file is taken out and put in again.
        self._files: dict[tuple[int, bytes], _Unsettled] = {}

    def __len__(self) -> int:
        return len(self._files)

    @property
    def grace_s(self) -> float:
        """How long an incomplete file must be unchanged before it is rejected, in seconds."""
        return self._settle_s * GRACE_FACTOR

    @property
    def is_full(self) -> bool:
        """Whether no more files should be added now."""
        return len(self._files) >= CAPACITY

    def is_quiet_by_mtime(self, version: ImageVersion) -> bool:
        """Whether the file's mtime is at least `settle_s` ago.

        If the wall clock or the server's clock is wrong, the file is decoded too early; if it is
        not whole then, it is tried again.
        """
        return self._wall_clock() - version.mtime_ns / 1e9 >= self._settle_s

    def watch(self, version: ImageVersion) -> None:
        """Start the wait for a file, or start it again if the file has changed."""
        known = self._files.get((version.folder_id, version.path))
        if known is None or known.version != version:
            self._restart(version, known.first_seen_s if known else self._clock())

    def take_settled(self, look: Look) -> list[ImageVersion]:
        """Remove and return the files that have not changed for `settle_s`.

        Args:
            look: gives the file's current version, None if it is gone.
        """
        settled = []
        for entry in self._due():
            version = look(entry.version)
            if version is None:
                self._forget(entry.version)
            elif version == entry.version:
                self._forget(version)
                settled.append(version)
                failpoint("settle.settled")
            else:
                self._restart(version, entry.first_seen_s)
        return settled

    def seconds_to_next(self) -> float:
        """Seconds until the next file may be settled; infinite if there is none."""
        for entry in self._files.values():
            return max(0.0, entry.quiet_since_s + self._settle_s - self._clock())
        return float("inf")

    def all_keep_changing(self) -> bool:
        """Whether every file left was first seen longer than `grace_s` ago, so still changes."""
        latest = self._clock() - self.grace_s
        return all(entry.first_seen_s < latest for entry in self._files.values())

    def _due(self) -> list[_Unsettled]:
        latest = self._clock() - self._settle_s
        due = []
        for entry in self._files.values():
            if entry.quiet_since_s > latest:
                break
            due.append(entry)
        return due

    def _restart(self, version: ImageVersion, first_seen_s: float) -> None:
        self._forget(version)
        self._files[version.folder_id, version.path] = _Unsettled(
            version, self._clock(), first_seen_s
        )

    def _forget(self, version: ImageVersion) -> None:
        self._files.pop((version.folder_id, version.path), None)
