"""One watch folder as the coordinator uses it.

Calls to a share are made by other threads. A folder that inotify watches is local, so single files
in it are looked at, and read, directly.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from daemon.health.health import Health
from daemon.image.records import Dropped, ImageVersion
from daemon.image.watch_folder import WatchFolder
from daemon.intake.hints import Hint, HintKind, Hints
from daemon.intake.inotify import InotifyWatch
from daemon.intake.inotify_probe import InotifyProbe
from daemon.intake.rescan import MAX_NEW_FOLDERS
from daemon.intake.scan_thread import ScanThread
from daemon.system.bounded_call import BoundedCalls
from edge.errors import ImageError, StorageError, TransientError
from edge.image_files.header import is_whole
from edge.image_files.limits import ImageLimits
from edge.image_files.read import read_file

log = logging.getLogger(__name__)

# A call that takes longer is logged. A share that reconnects by itself needs two or three seconds.
HUNG_S: Final = 4.0
# Longest time that looking at one file on a share may delay the coordinator.
_LOOK_S: Final = 1.0


class FolderIntake:
    """One watch folder of a running service."""

    def __init__(
        self,
        watch_folder: WatchFolder,
        hints: Hints,
        *,
        poll: str,
        rescan_s: float,
        state_dir: Path | None = None,
    ) -> None:
        self.watch_folder = watch_folder
        self._hints = hints
        probe = InotifyProbe(state_dir, str(watch_folder.id)) if state_dir else None
        self._watcher = InotifyWatch(watch_folder, hints, poll=poll, probe=probe)
        self._scanner = ScanThread(
            watch_folder, self._watcher, rescan_s=rescan_s, on_found=hints.wake
        )
        self._looks: BoundedCalls[ImageVersion | None] = BoundedCalls(f"look-{watch_folder.id}")
        # How many losses of hints came before the last whole scan whose chunks were all taken.
        self._covered = -1
        self._has_warned_hung = False

    @property
    def is_scanned(self) -> bool:
        """Whether a whole scan has begun after the last loss of hints and was taken completely."""
        return self._covered >= self._scanner.losses

    @property
    def hung_for_s(self) -> float:
        """Seconds that the current call to the folder's file system has taken; 0.0: no call."""
        return self._scanner.hung_for_s

    @property
    def is_hung(self) -> bool:
        """Whether a call to the folder's file system hangs; then `is_there` may be outdated."""
        return self.hung_for_s > HUNG_S

    @property
    def last_proof_s(self) -> float | None:
        """Monotonic time of the last probe event that came through; None: the folder is polled."""
        return self._watcher.last_proof_s if self._scanner.is_watching else None

    @property
    def is_watching(self) -> bool:
        """Whether hints can be expected; otherwise the folder is polled."""
        return self._scanner.is_watching

    @property
    def is_there(self) -> bool:
        """Whether the folder was there at the last look."""
        return self._scanner.is_there

    def keep_watching(self) -> None:
        """Start the folder's thread if it does not run; log once if the folder does not answer.

        Raises:
            BaseException: the error that ended the thread.
        """
        self._scanner.start()
        if self._scanner.error:
            raise self._scanner.error
        is_hung = self.is_hung
        if is_hung and not self._has_warned_hung:
            log.warning(
                "watch folder %s does not answer: a call has hung for %g s; its images wait",
                self.watch_folder.path,
                HUNG_S,
            )
        if self._has_warned_hung and not is_hung:
            log.warning("watch folder %s answers again", self.watch_folder.path)
        self._has_warned_hung = is_hung

    def report(self, health: Health, number: int) -> None:
        """Report the folder's state, by its number in the configuration."""
        health.set_watch(
            number,
            is_there=self.is_there,
            has_events=self.is_watching,
            answers=not self.is_hung,
            passed_over=self._scanner.passed_over,
        )

    def stop_watching(self) -> None:
        """End the threads, except one that hangs."""
        self._scanner.stop()
        self._looks.stop()

    def note_new_folder(self, folder: bytes) -> None:
        """Scan a new folder: its first files may have come before it was watched."""
        if self._scanner.new_folders.qsize() >= MAX_NEW_FOLDERS:
            self.note_loss()
        else:
            self._scanner.new_folders.put(folder)
            self._scanner.wake()

    def note_loss(self) -> None:
        """Note that hints were lost, so that a whole scan is made."""
        self._scanner.losses += 1
        self._scanner.wake()

    def next_chunk(self) -> list[ImageVersion]:
        """The next images that the scan has found; empty if there are none now. Never waits."""
        found = self._scanner.take()
        if found is None:
            return []
        if found.covers is not None:
            self._covered = found.covers
        return found.versions

    def seconds_to_next(self) -> float:
        """0.0 if `next_chunk` has something to give, else infinite: `Hints.take` is then woken."""
        return 0.0 if self._scanner.has_found else float("inf")

    def look(self, path: bytes) -> ImageVersion | None:
        """The file's current version; None if it cannot be seen now or the share does not answer.

        The next scan of the share finds the file again, if it is there.
        """
        if self._scanner.is_watching:
            return self.watch_folder.look(path)
        try:
            found = self._looks.call(lambda: self.watch_folder.look(path), _LOOK_S)
        except TimeoutError:
            self.note_loss()
            return None
        if found is None:
            self._scanner.is_in_doubt = True
        return found

    def note_dropped(self, dropped: Dropped) -> None:
        """Note that a worker has dropped an image: it has changed, or was not there."""
        version = dropped.image.version
        if dropped.state == "superseded":
            self._hints.put(Hint(version.folder_id, version.path, HintKind.CREATED))
        else:
            # It may be there again by now, as it was when it was found.
            self._scanner.is_in_doubt = True

    def is_complete(self, hint: Hint, limits: ImageLimits) -> bool:
        """Whether the file is complete: renamed in, or closed after writing and whole."""
        if hint.kind is HintKind.CLOSED:
            # Some writers close a file between its parts, so its content is checked.
            try:
                return is_whole(read_file(self.watch_folder.image(hint.path), limits).content)
            except (ImageError, TransientError):
                return False
        return hint.kind is HintKind.RENAMED_IN

    def require_folder(self) -> None:
        """Raise StorageError if the folder is not there."""
        if not self._scanner.is_there:
            raise StorageError(
                f"watch folder {self.watch_folder.path} is not there. Mount or create it."
            )
