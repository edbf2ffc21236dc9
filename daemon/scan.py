"""The rescan that finds every image, whatever the watcher missed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from daemon.records import ImageVersion
from daemon.roots import Root, is_hidden
from daemon.settle import Clock
from edge.failpoints import failpoint

log = logging.getLogger(__name__)

# Files per chunk: one journal query and at most one transaction each.
CHUNK: Final = 500
# A new folder is scanned again after the watcher had time to miss something in it.
NEW_FOLDER_DELAY_S: Final = 1.0
# More new folders than this at once are cheaper to find by a whole scan.
MAX_NEW_FOLDERS: Final = 1000
# A scan may take at most this share of the time between two scans, however large the tree.
MAX_LOAD: Final = 0.1


def image_files(
    root: Root, on_error: Callable[[bytes, OSError], None], start: bytes = b""
) -> Iterator[ImageVersion]:
    """Every image below a watch folder, without ever holding the list of them.

    Args:
        root: the watch folder.
        on_error: gets each folder that could not be read.
        start: a folder below the watch folder to begin with.
    """
    base = os.fsencode(root.folder) + b"/"
    pending = [start]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(base + folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    path = folder + b"/" + entry.name if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    elif root.is_image_name(entry.name) and (version := root.look(path)):
                        yield version
        except OSError as error:
            on_error(folder, error)


class RootScan:
    """The recurring scan of one watch folder, taken a chunk at a time by the coordinator."""

    def __init__(self, root: Root, *, clock: Clock = time.monotonic) -> None:
        self.root = root
        self.completed = 0
        self._clock = clock
        self._due_s = clock()
        self._started_s = 0.0
        self._files: Iterator[ImageVersion] | None = None
        self._is_whole_scan = False
        self._new_folders: dict[bytes, float] = {}
        self._errors: list[OSError] = []
        self._reported: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether a scan was begun and has not ended."""
        return self._files is not None

    def request(self, delay_s: float = 0.0) -> None:
        """Ask for a whole scan; one that is running does not count."""
        self._due_s = min(self._due_s, self._clock() + delay_s)

    def request_folder(self, folder: bytes) -> None:
        """Ask for a scan of one new folder."""
        if len(self._new_folders) >= MAX_NEW_FOLDERS:
            self._new_folders.clear()
            self.request(NEW_FOLDER_DELAY_S)
        self._new_folders[folder] = self._clock() + NEW_FOLDER_DELAY_S

    def seconds_to_next(self) -> float:
        """Seconds until `next_chunk` has something to do."""
        due_s = min(self._due_s, *self._new_folders.values(), float("inf"))
        return 0.0 if self.is_running else max(0.0, due_s - self._clock())

    def next_chunk(self, interval_s: float) -> list[ImageVersion]:
        """The next files of the scan that is running or due; none where no scan is due.

        Args:
            interval_s: from the end of a whole scan to the next one.
        """
        files = self._files = self._files or self._next_scan()
        if files is None:
            return []
        chunk = list(islice(files, CHUNK))
        failpoint("scan.chunk_taken")
        if len(chunk) < CHUNK:
            self._finish(interval_s)
        return chunk

    def _next_scan(self) -> Iterator[ImageVersion] | None:
        now = self._started_s = self._clock()
        self._is_whole_scan = self._due_s <= now
        if self._is_whole_scan:
            self._due_s = float("inf")
            return image_files(self.root, self._note_error)
        due_folders = [folder for folder, due_s in self._new_folders.items() if due_s <= now]
        if not due_folders:
            return None
        del self._new_folders[due_folders[0]]
        return image_files(self.root, self._note_error, due_folders[0])

    def _finish(self, interval_s: float) -> None:
        self._files = None
        if self._is_whole_scan:
            took_s = self._clock() - self._started_s
            self.completed += 1
            self.request(max(interval_s, took_s / MAX_LOAD))
            self._report_errors()
        self._errors.clear()

    def _note_error(self, folder: bytes, error: OSError) -> None:
        # A folder that was deleted since its parent was read holds no images.
        if not folder or not isinstance(error, FileNotFoundError):
            self._errors.append(error)

    def _report_errors(self) -> None:
        """Say once that folders cannot be read, and once that they can again."""
        found = f"{len(self._errors)} of its folders" if self._errors else None
        if found and self.root.identity() is None:
            found = "it"
        if found and found != self._reported:
            log.warning(
                "watch folder %s: %s cannot be read (%s); trying again at every rescan",
                self.root.folder,
                found,
                self._errors[0].strerror,
            )
        if self._reported and not found:
            log.warning("watch folder %s can be read again", self.root.folder)
        self._reported = found
