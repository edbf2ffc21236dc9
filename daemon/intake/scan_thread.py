"""The thread that scans and watches one watch folder.

A call to a share whose server does not answer may hang for ever and cannot be cancelled. In this
thread it delays the images of one folder, not the coordinator. The thread passes what it finds
through a short queue; the coordinator leaves requests in attributes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from daemon.image.passed_over import PassedOver
from daemon.image.records import ImageVersion
from daemon.image.watch_folder import WatchFolder
from daemon.intake.inotify import InotifyWatch
from daemon.intake.rescan import Rescan
from daemon.system.clock import Clock

log = logging.getLogger(__name__)

# Time between two looks at every file of a folder without hints.
POLL_S: Final = 2.0
# Time between two quick scans of a folder with hints.
QUICK_S: Final = 1.0
# Delay of the rescan after hints were lost, so that many losses cause one scan a second.
LOSS_RESCAN_S: Final = 1.0
# While so many chunks wait for the coordinator, the scan waits, so that memory stays bounded.
_MAX_CHUNKS: Final = 4
# The thread checks the watch at least this often.
_REST_S: Final = 0.5
# A thread that does not hang ends within this time.
_STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ScanChunk:
    """Images found by a scan.

    `covers` is set in the last chunk of a scan: how many losses of hints came before the scan.
    """

    versions: list[ImageVersion]
    covers: int | None


class ScanThread:
    """Scans and watches one folder in its own thread, from `start` until `stop`.

    The coordinator writes `losses`, the number of losses of hints so far, and `new_folders`, then
    calls `wake`. Any thread may set `is_in_doubt`: a file that was passed on may have been dropped.
    Everything else belongs to the thread.
    """

    def __init__(
        self,
        watch_folder: WatchFolder,
        watcher: InotifyWatch,
        *,
        rescan_s: float,
        on_found: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self.losses = 0
        self.new_folders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.is_in_doubt = False
        self.is_there = True
        self.is_watching = False
        self.error: BaseException | None = None
        self._watch_folder = watch_folder
        self._watcher = watcher
        self._rescan_s = rescan_s
        self._on_found = on_found
        self._clock = clock
        self._scan = Rescan(watch_folder, clock=clock)
        self._losses_seen = 0
        self._covers = 0
        self._found: queue.Queue[ScanChunk] = queue.Queue(_MAX_CHUNKS)
        self._busy_since_s: float | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"scan-{watch_folder.id}", daemon=True
        )

    @property
    def hung_for_s(self) -> float:
        """Seconds that the thread has been inside one call to the file system."""
        since_s = self._busy_since_s
        if since_s is None:
            return 0.0
        return self._clock() - max(since_s, self._scan.progress_s)

    @property
    def passed_over(self) -> PassedOver | None:
        """What the last whole scan left out; None before the first."""
        return self._scan.passed_over

    @property
    def has_found(self) -> bool:
        """Whether `take` would give a chunk."""
        return not self._found.empty()

    def start(self) -> None:
        """Start the thread, unless it was started."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """End the thread. One that hangs is not waited for; it ends with the process."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive() and self.hung_for_s < _STOP_S:
            self._thread.join(_STOP_S)

    def wake(self) -> None:
        """Make the thread look at its requests now."""
        self._wake.set()

    def take(self) -> ScanChunk | None:
        """The next chunk, or None. Never waits."""
        try:
            found = self._found.get_nowait()
        except queue.Empty:
            return None
        self._wake.set()
        return found

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._busy_since_s = self._clock()
                self._keep_watching()
                is_idle = self._found.full() or not self._go_on_scanning()
                self._busy_since_s = None
                if is_idle:
                    self._rest()
        except BaseException as error:  # noqa: BLE001 - the coordinator raises it again
            self.error = error
        finally:
            self.is_watching = False
            self._watcher.stop()
            self._on_found()

    def _keep_watching(self) -> None:
        if self._watcher.keep_watching():
            self._scan.request()
        self.is_watching = self._watcher.is_watching
        if self.losses != self._losses_seen:
            self._losses_seen = self.losses
            self._scan.request(LOSS_RESCAN_S)
        if self.is_in_doubt:
            self.is_in_doubt = False
            self._scan.forget_seen()
        while not self.new_folders.empty():
            self._scan.request_folder(self.new_folders.get())

    def _go_on_scanning(self) -> bool:
        """Find the next chunk; False if no scan is due."""
        if self._scan.seconds_to_next() > 0:
            return False
        if not self._scan.is_running:
            self._covers = self._losses_seen
        completed = self._scan.completed
        if self.is_watching:
            versions = self._scan.next_chunk(self._rescan_s, quick_s=QUICK_S)
        else:
            poll_s = min(POLL_S, self._rescan_s)
            versions = self._scan.next_chunk(self._rescan_s, poll_s=poll_s)
        is_end = self._scan.completed > completed
        if not self._scan.is_running:
            self.is_there = self._watch_folder.identity() is not None
        if versions or is_end:
            # Never full: only this thread puts, and it has checked before.
            self._found.put_nowait(ScanChunk(versions, self._covers if is_end else None))
            self._on_found()
        return True

    def _rest(self) -> None:
        due_s = _REST_S if self._found.full() else self._scan.seconds_to_next()
        self._wake.wait(min(_REST_S, due_s))
        self._wake.clear()
