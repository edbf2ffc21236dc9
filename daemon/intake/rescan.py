"""The rescan of a watch folder, which finds every image, also without hints."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from enum import Enum, auto
from itertools import islice
from typing import Final

from daemon.image.passed_over import PassedOver, PassedOverCount
from daemon.image.records import ImageVersion
from daemon.image.watch_folder import WatchFolder
from daemon.intake.known_folders import KnownFolders
from daemon.intake.seen_files import SeenFiles
from daemon.intake.walk import changed_files, image_files, list_folder
from daemon.system.clock import Clock
from edge.failpoints import failpoint

log = logging.getLogger(__name__)

# Files per chunk: one journal query and at most one transaction each.
CHUNK: Final = 500
# A new folder is scanned after this time: files that came before inotify watched it gave no hint.
NEW_FOLDER_DELAY_S: Final = 1.0
# For more new folders than this a whole scan is cheaper.
MAX_NEW_FOLDERS: Final = 1000
# Largest share of the time that scans take, however large the tree.
MAX_LOAD: Final = 0.1
# Of a longer call only this much counts as load, as the rest is waiting for a server: after a share
# hung for a minute the next scan must not wait ten minutes.
STALL_S: Final = 0.1


class _Kind(Enum):
    WHOLE = auto()
    FOLDER = auto()
    QUICK = auto()
    POLL = auto()


_SHORT: Final = (_Kind.QUICK, _Kind.POLL)


class Rescan:
    """The recurring scan of one watch folder, a chunk at a time.

    Whole scans find every image. Between two of them comes one of two others. Quick scans list only
    the folders that changed, which works where the file system keeps the mtime of folders. Polls
    look at every file as well, and pass on those that are not as the last scan saw them.
    """

    def __init__(
        self,
        watch_folder: WatchFolder,
        *,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        self.watch_folder = watch_folder
        self.completed = 0
        # When the last file or folder was found, to tell a long scan from a call that hangs.
        self.progress_s = clock()
        self._clock = clock
        self._due_s = clock()
        # The next quick scan or poll.
        self._short_due_s = float("inf")
        self._polls = False
        self._seen_files = SeenFiles()
        self._busy_s = 0.0
        self._files: Iterator[ImageVersion] | None = None
        self._kind = _Kind.WHOLE
        self._known = KnownFolders(clock=clock, wall_clock=wall_clock)
        self._seen: set[bytes] = set()
        self._new_folders: dict[bytes, float] = {}
        self._errors: list[OSError] = []
        self._reported: str | None = None
        self.passed_over: PassedOver | None = None
        self._passing = PassedOverCount()
        self._warned_suffixes: frozenset[str] = frozenset()

    @property
    def is_running(self) -> bool:
        """Whether a scan was begun and has not ended."""
        return self._files is not None

    def request(self, delay_s: float = 0.0) -> None:
        """Ask for a whole scan in `delay_s` seconds, also while one is running."""
        self._due_s = min(self._due_s, self._clock() + delay_s)

    def request_folder(self, folder: bytes) -> None:
        """Ask for a scan of one new folder."""
        if len(self._new_folders) >= MAX_NEW_FOLDERS:
            self._new_folders.clear()
            self.request(NEW_FOLDER_DELAY_S)
        self._new_folders[folder] = self._clock() + NEW_FOLDER_DELAY_S

    def seconds_to_next(self) -> float:
        """Seconds until `next_chunk` has something to do."""
        due_s = min(self._due_s, self._short_due_s, *self._new_folders.values(), float("inf"))
        return 0.0 if self.is_running else max(0.0, due_s - self._clock())

    def forget_seen(self) -> None:
        """Have the next poll pass everything on, as something that it passed on may be lost."""
        self._seen_files.forget()

    def next_chunk(
        self, interval_s: float, *, quick_s: float | None = None, poll_s: float | None = None
    ) -> list[ImageVersion]:
        """The next files of the scan that is running or due; empty if no scan is due.

        Args:
            interval_s: seconds from the end of a whole scan to the next one.
            quick_s: the same for quick scans; None: no quick scans.
            poll_s: the same for polls; None: no polls. Only one of the two may be given.
        """
        self._polls = poll_s is not None
        files = self._files = self._files or self._next_scan()
        if files is None:
            return []
        chunk = list(islice(self._noting_progress(files), CHUNK))
        failpoint("scan.chunk_taken")
        if len(chunk) < CHUNK:
            self._finish(interval_s, poll_s if self._polls else quick_s)
        return chunk

    def _noting_progress(self, files: Iterator[ImageVersion]) -> Iterator[ImageVersion]:
        for version in files:
            self._note_progress()
            yield version

    def _note_progress(self) -> None:
        now_s = self._clock()
        self._busy_s += min(now_s - self.progress_s, STALL_S)
        self.progress_s = now_s

    def _next_scan(self) -> Iterator[ImageVersion] | None:
        now = self.progress_s = self._clock()
        self._busy_s = 0.0
        if self._due_s <= now:
            self._kind, self._due_s = _Kind.WHOLE, float("inf")
            self._seen, self._passing = set(), PassedOverCount()
            return self._files_of_all_folders()
        if due := [folder for folder, due_s in self._new_folders.items() if due_s <= now]:
            self._kind = _Kind.FOLDER
            del self._new_folders[due[0]]
            return image_files(self.watch_folder, self._note_error, due[0], self._note_folder)
        if self._short_due_s <= now and self._polls:
            self._kind = _Kind.POLL
            return self._changed_files()
        if self._short_due_s <= now:
            self._kind = _Kind.QUICK
            return self._files_of_changed_folders()
        return None

    def _files_of_all_folders(self) -> Iterator[ImageVersion]:
        self._seen_files.begin(is_whole=True)
        for version in image_files(
            self.watch_folder,
            self._note_error,
            on_folder=self._note_folder,
            on_passed_over=self._passing.add,
        ):
            if self._polls:
                self._seen_files.note(version)
            yield version

    def _changed_files(self) -> Iterator[ImageVersion]:
        self._seen_files.begin(is_whole=False)
        pending = [b""]
        while pending:
            folder = pending.pop()
            try:
                self._note_folder(folder)
                yield from changed_files(
                    self.watch_folder,
                    folder,
                    pending,
                    self._note_error,
                    self._seen_files,
                    self._note_progress,
                )
            except OSError as error:
                self._note_error(folder, error)

    def _files_of_changed_folders(self) -> Iterator[ImageVersion]:
        if self.watch_folder.identity() is None:
            return
        for folder, since_ns in self._known.changed(os.fsencode(self.watch_folder.path) + b"/"):
            self._note_progress()
            subfolders: list[bytes] = []
            try:
                yield from list_folder(
                    self.watch_folder, folder, subfolders, self._note_error, since_ns=since_ns
                )
            except OSError as error:
                self._note_error(folder, error)
            for subfolder in subfolders:
                if subfolder not in self._known:
                    yield from image_files(
                        self.watch_folder, self._note_error, subfolder, self._note_folder
                    )

    def _finish(self, interval_s: float, short_s: float | None) -> None:
        self._files = None
        self._note_progress()
        spacing_s = self._busy_s / MAX_LOAD
        if self._kind is _Kind.WHOLE:
            self.completed += 1
            self.request(max(interval_s, spacing_s))
            self._known.keep_only(self._seen)
            self._report_errors()
            self._report_passed_over()
        if self._kind is _Kind.POLL:
            self._report_errors()
        if self._kind in (_Kind.WHOLE, _Kind.POLL):
            self._seen_files.end()
        if short_s is None:
            self._short_due_s = float("inf")
        elif self._kind in _SHORT or self._polls or self._short_due_s == float("inf"):
            self._short_due_s = self._clock() + max(short_s, spacing_s)
        self._errors.clear()

    def _note_folder(self, folder: bytes) -> None:
        self._note_progress()
        path = os.fsencode(self.watch_folder.path) + b"/" + folder
        status = os.stat(path)  # noqa: PTH116 - a path of bytes
        if not folder and self.watch_folder.mount.is_unmounted(status):
            raise FileNotFoundError(errno.ENOENT, "its share is not mounted")
        self._known.note(folder, status)
        self._seen.add(folder)

    def _note_error(self, folder: bytes, error: OSError) -> None:
        self._known.forget(folder)
        # Not an error: a folder that was deleted after its parent was listed.
        if not folder or not isinstance(error, FileNotFoundError):
            self._errors.append(error)

    def _report_passed_over(self) -> None:
        """Keep the counts; log each suffix once that looks like an image and is left out."""
        self.passed_over = self._passing.result()
        suffixes = self.passed_over.images
        if not self._warned_suffixes.issuperset(suffixes):
            log.warning(
                "watch folder %s: files that look like images are left out: %s",
                self.watch_folder.path,
                self.passed_over.remedy(),
            )
            self._warned_suffixes |= frozenset(suffixes)

    def _report_errors(self) -> None:
        """Log once that folders cannot be read, and once that they can again."""
        found = f"{len(self._errors)} of its folders" if self._errors else None
        if found and self.watch_folder.identity() is None:
            found = "it"
        if found and found != self._reported:
            log.warning(
                "watch folder %s: %s cannot be read (%s); trying again at every rescan",
                self.watch_folder.path,
                found,
                self._errors[0].strerror,
            )
        if self._reported and not found:
            log.warning("watch folder %s can be read again", self.watch_folder.path)
        self._reported = found
