"""Which folders have changed since they were listed, for quick scans.

A new file, a rename and a hard link change their folder's mtime. So one look at each folder shows
where new files are. A file that is overwritten in place changes no folder: hints and the whole scan
find it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from daemon.system.clock import Clock

# Times of files are coarse, up to two seconds. A folder that changed this shortly before it was
# listed may show the same mtime after another change, so it is listed again.
GRAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Listed:
    """A folder as it was just before it was listed."""

    inode: int
    mtime_ns: int
    relist_until_s: float


class KnownFolders:
    """The folders below a watch folder, each with its mtime at its last listing."""

    def __init__(self, *, clock: Clock, wall_clock: Clock = time.time) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._folders: dict[bytes, _Listed] = {}

    def __contains__(self, folder: bytes) -> bool:
        return folder in self._folders

    def note(self, folder: bytes, status: os.stat_result) -> None:
        """Remember a folder just before it is listed."""
        before, now_s = self._folders.get(folder), self._clock()
        relist_until_s = before.relist_until_s if before else 0.0
        if before is None:
            # The only use of the wall clock. If it is wrong, the whole scan still finds the files.
            is_young = abs(self._wall_clock() - status.st_mtime) <= GRAIN_S
        else:
            is_young = (before.inode, before.mtime_ns) != (status.st_ino, status.st_mtime_ns)
        if is_young:
            relist_until_s = now_s + GRAIN_S
        self._folders[folder] = _Listed(status.st_ino, status.st_mtime_ns, relist_until_s)

    def forget(self, folder: bytes) -> None:
        """Drop a folder that cannot be listed."""
        self._folders.pop(folder, None)

    def keep_only(self, folders: set[bytes]) -> None:
        """Drop every folder that the last whole scan has not seen."""
        for folder in self._folders.keys() - folders:
            del self._folders[folder]

    def changed(self, base: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield folders to list again, each with the ctime, in ns, from which its files are new.

        Args:
            base: the watch folder's path, with a slash at its end.
        """
        for folder, listed in list(self._folders.items()):
            try:
                status = os.stat(base + folder)  # noqa: PTH116 - a path of bytes
            except OSError:
                self.forget(folder)
                continue
            is_same = (status.st_ino, status.st_mtime_ns) == (listed.inode, listed.mtime_ns)
            if not is_same or listed.relist_until_s > self._clock():
                self.note(folder, status)
                yield folder, _new_since_ns(listed, status)


def _new_since_ns(listed: _Listed, status: os.stat_result) -> int:
    """The ctime from which a file may be new, in ns.

    0, so that all files count, for another folder of this name and where the clock was set back.
    """
    if status.st_ino != listed.inode or status.st_mtime_ns < listed.mtime_ns:
        return 0
    return listed.mtime_ns - int(GRAIN_S * 1e9)
