"""When is a file complete? A tracker without a file system, on a clock that never jumps.

A file that was renamed in, or closed after writing and whole, is ready at once and never comes
here. All others are ready when size and mtime were quiet for `settle_s`. The last word has the
strict decode: what was quiet and turns out not to be whole is looked at once more after
`grace_s` before it is rejected.
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

# A copy that stalls goes on or fails within the retries of TCP and of the SMB client, some ten
# to twenty seconds; with the default settle_s of 2 this waits 20. A file completed later than
# that is a new version and is labelled anew, so that patience only avoids a passing rejection.
GRACE_FACTOR: Final = 10

# Files that may be unsettled at once. An analyzer writes a few at a time; more than this come
# from a bulk copy, which the scan then reads no faster than it settles.
CAPACITY: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Unsettled:
    version: ImageVersion
    quiet_since_s: float
    first_seen_s: float


class SettleTracker:
    """Files that someone may still be writing to."""

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
        """How long a file that is not whole must be unchanged before it is rejected."""
        return self._settle_s * GRACE_FACTOR

    @property
    def is_full(self) -> bool:
        """Whether no more files should be added now."""
        return len(self._files) >= CAPACITY

    def is_quiet_by_mtime(self, version: ImageVersion) -> bool:
        """Whether the file's own mtime says that it was quiet for `settle_s`.

        The wall clock or a server's clock may be wrong, but then only the strict decode comes
        early, and a file that is not whole is looked at again.
        """
        return self._wall_clock() - version.mtime_ns / 1e9 >= self._settle_s

    def watch(self, version: ImageVersion) -> None:
        """Start the quiet period of a file, or start it again if the file has changed."""
        known = self._files.get((version.folder_id, version.path))
        if known is None or known.version != version:
            self._restart(version, known.first_seen_s if known else self._clock())

    def take_settled(self, look: Look) -> list[ImageVersion]:
        """Remove and return the files that were quiet for `settle_s`.

        Args:
            look: the file's present version, None where it is gone.
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
        """Seconds until the next file may be settled; infinite when there is none."""
        for entry in self._files.values():
            return max(0.0, entry.quiet_since_s + self._settle_s - self._clock())
        return float("inf")

    def all_keep_changing(self) -> bool:
        """Whether every file left has kept changing for longer than `grace_s`."""
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
