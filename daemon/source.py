"""A watch folder at work: its watcher gives hints, its scan finds everything."""

from __future__ import annotations

from typing import Final

from daemon.hints import Hint, HintKind, Hints
from daemon.records import ImageVersion
from daemon.roots import Root
from daemon.scan import RootScan
from daemon.watch import RootWatcher
from edge.errors import ImageError, StorageError, TransientError
from edge.image_header import is_whole
from edge.images import ImageLimits, read_file

# Between two scans of a folder that sends no hints.
POLL_S: Final = 2.0
# Hints that were lost ask for a rescan, but a flood of them for no more than one a second.
LOSS_RESCAN_S: Final = 1.0


class Source:
    """One watch folder of a running service."""

    def __init__(self, root: Root, hints: Hints, *, poll: str, rescan_s: float) -> None:
        self.root = root
        self._rescan_s = rescan_s
        self._scan = RootScan(root)
        self._watcher = RootWatcher(root, hints, poll=poll)

    @property
    def is_scanned(self) -> bool:
        """Whether the folder was scanned as a whole and no scan is running."""
        return self._scan.completed > 0 and not self._scan.is_running

    @property
    def is_there(self) -> bool:
        """Whether the folder was there when it was last looked at."""
        return self._watcher.is_there

    @property
    def is_watching(self) -> bool:
        """Whether the kernel tells of new files; otherwise the folder is polled."""
        return self._watcher.is_watching

    def keep_watching(self) -> None:
        """Watch, or watch again, where that is possible; then a scan is due."""
        if self._watcher.keep_watching():
            self._scan.request()

    def stop_watching(self) -> None:
        """End the watcher's threads."""
        self._watcher.stop()

    def note_new_folder(self, folder: bytes) -> None:
        """A folder appeared: what was put into it first may have come without a hint."""
        self._scan.request_folder(folder)

    def note_loss(self) -> None:
        """Hints were lost: a scan must find what they meant."""
        self._scan.request(LOSS_RESCAN_S)

    def next_chunk(self) -> list[ImageVersion]:
        """The next images of the scan that is running or due."""
        is_watching = self._watcher.is_watching
        return self._scan.next_chunk(self._rescan_s if is_watching else min(POLL_S, self._rescan_s))

    def seconds_to_next(self) -> float:
        """Seconds until `next_chunk` has something to do."""
        return self._scan.seconds_to_next()

    def is_complete(self, hint: Hint, limits: ImageLimits) -> bool:
        """Whether the hint says that nobody writes to the file any more."""
        if hint.kind is HintKind.CLOSED:
            # Some writers close a file and open it again between its parts.
            try:
                return is_whole(read_file(self.root.image(hint.path), limits).content)
            except (ImageError, TransientError):
                return False
        return hint.kind is HintKind.RENAMED_IN

    def require_folder(self) -> None:
        """Raise StorageError where the folder is not there."""
        if self.root.identity() is None:
            raise StorageError(f"watch folder {self.root.folder} is not there. Mount or create it.")
